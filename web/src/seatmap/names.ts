/** The sections' names on the map: whole where they fit, shortened to what tells them apart, or none. */
import { type Layout, type Section, width as boxWidth } from './layout';
import { type Size, toScreen, type Viewport } from './viewport';

export interface PlacedName {
  text: string;
  x: number;
  y: number;
  /** With the room around the text. */
  width: number;
  height: number;
}

const WHOLE = { room: 16, height: 22 };
const SHORT = { room: 8, height: 17 };
/** A few names among many blocks would look like a choice that was made. */
const ENOUGH = 0.7;

export function sectionNames(
  layout: Layout,
  view: Viewport,
  size: Size,
  measure: (text: string) => number,
): PlacedName[] {
  const seated = layout.sections.filter(({ box }) => box.maxX >= box.minX);
  const place = (texts: string[], { room, height }: typeof WHOLE): PlacedName[] =>
    withoutOverlap(
      seated.flatMap((section, i) => {
        const text = texts[i]!;
        const textWidth = measure(text);
        if (textWidth > boxWidth(section.box) * view.scale) return [];
        const at = toScreen(view, size, ...middleOf(layout, section));
        return [{ text, ...at, width: textWidth + room, height }];
      }),
    );
  const whole = seated.map((s) => s.name);
  const full = place(whole, WHOLE);
  if (full.length === seated.length) return full;
  const short = place(withoutCommonStart(whole), SHORT);
  const best = short.length > full.length ? short : full;
  return best.length >= seated.length * ENOUGH ? best : [];
}

/** "Block 1" and "Block 2" are 1 and 2. Only whole words are taken away, and never all of a name. */
export function withoutCommonStart(names: readonly string[]): string[] {
  if (names.length < 2) return [...names];
  const words = names.map((n) => n.split(' '));
  const first = words[0]!;
  let common = 0;
  while (words.every((w) => w.length > common + 1 && w[common] === first[common])) common += 1;
  return words.map((w) => w.slice(common).join(' '));
}

/** The middle of the middle row: a bent block's box has its middle elsewhere. */
function middleOf({ rows, x, y }: Layout, { firstRow, rowCount, box }: Section): [x: number, y: number] {
  const row = rows[firstRow + (rowCount >> 1)];
  if (row === undefined || row.count === 0) return [(box.minX + box.maxX) / 2, (box.minY + box.maxY) / 2];
  const [a, b] = [row.first + ((row.count - 1) >> 1), row.first + (row.count >> 1)];
  return [(x[a]! + x[b]!) / 2, (y[a]! + y[b]!) / 2];
}

function withoutOverlap(names: readonly PlacedName[]): PlacedName[] {
  const kept: PlacedName[] = [];
  for (const name of names) {
    const isFree = kept.every(
      (k) => Math.abs(k.y - name.y) >= name.height || Math.abs(k.x - name.x) >= (k.width + name.width) / 2,
    );
    if (isFree) kept.push(name);
  }
  return kept;
}
