/** How many places one request may ask for. */
import type { EventDetail } from '../api/types';

/** Whatever an event gives one person. */
const MAX_PLACES = 20;

export function requestLimit({ seatLimit }: Pick<EventDetail, 'seatLimit'>): number {
  return Math.min(MAX_PLACES, seatLimit);
}
