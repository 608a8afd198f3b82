/** When a screen reader is told of a new place: every step would drown everything else. */

export const ANNOUNCE_EVERY_MS = 15_000;

export interface Announced {
  place: number;
  atMs: number;
}

export function shouldAnnounce(last: Announced | null, place: number, nowMs: number): boolean {
  if (last === null) return true;
  if (last.place === place) return false;
  const isNews = place <= 3 || place <= last.place / 2;
  return nowMs - last.atMs >= (isNews ? 2_000 : ANNOUNCE_EVERY_MS);
}
