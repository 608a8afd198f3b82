/** Seats chosen but not asked for yet: they survive signing in and a refresh, in this tab only. */

const key = (eventId: number): string => `usher.draft.${eventId}`;

export function readDraft(eventId: number): number[] {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(key(eventId)) ?? '[]');
    return Array.isArray(value) ? value.filter((id): id is number => typeof id === 'number') : [];
  } catch {
    return [];
  }
}

export function writeDraft(eventId: number, seatIds: readonly number[]): void {
  try {
    if (seatIds.length === 0) sessionStorage.removeItem(key(eventId));
    else sessionStorage.setItem(key(eventId), JSON.stringify(seatIds));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}
