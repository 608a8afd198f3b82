/** What to offer after a failure: the same wish, said more loosely. */
import type { BookRequest, FailureCode } from '../api/types';

export function quantityOf(request: BookRequest): number {
  return 'seatIds' in request ? request.seatIds.length : request.quantity;
}

/** Any seats, as many as before; null where that could not help. */
export function looser(request: BookRequest, code: FailureCode): BookRequest | null {
  const canHelp = code === 'seat_taken' || code === 'not_enough_adjacent' || code === 'internal' || code === 'sold_out';
  if (!canHelp) return null;
  const isNarrow =
    'seatIds' in request ||
    request.adjacent === true ||
    request.tierId !== undefined ||
    request.sectionId !== undefined ||
    request.areaId !== undefined;
  // Where everything was acceptable already, asking again for everything finds the same emptiness.
  if (code === 'sold_out' && !isNarrow) return null;
  return { quantity: quantityOf(request), fallback: 'any' };
}

/** The same wish, kept in line until a seat comes back; null where it was asked already. */
export function onStandby(request: BookRequest, code: FailureCode): BookRequest | null {
  return code === 'sold_out' && request.standby !== true ? { ...request, standby: true } : null;
}
