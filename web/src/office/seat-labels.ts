/** Labels of seats as admins write them: "1-10, 12, A". */

const MOST = 2_000;

/** Every label once, in order; null where it can't be read or is more than one request takes. */
export function readLabels(text: string): string[] | null {
  const labels = new Set<string>();
  for (const part of text.split(',').map((p) => p.trim()).filter((p) => p !== '')) {
    const range = /^(\d{1,5})\s*[-–]\s*(\d{1,5})$/.exec(part);
    if (range === null) {
      labels.add(part);
      continue;
    }
    const [from, to] = [Number(range[1]), Number(range[2])];
    if (from > to || to - from >= MOST) return null;
    for (let n = from; n <= to; n++) labels.add(String(n));
  }
  return labels.size === 0 || labels.size > MOST ? null : [...labels];
}
