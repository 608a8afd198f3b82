/** When an event that is not on sale yet is looked at again: pure. */
import { jittered } from '../live/backoff';

/** Once it should have opened it is asked for this often. */
const OFTEN_MS = 3_000;
/** Before that, now and then: this device's clock may be wrong, and the time may be moved. */
const SELDOM_MS = 60_000;
/** A crowd that waits for the same moment is spread over so long, and nobody comes too early. */
const SPREAD_MS = 1_500;

/** The wait until the next look. */
export function nextSaleLookMs(salesOpenAt: string, nowMs: number, random: () => number): number {
  const left = Date.parse(salesOpenAt) - nowMs;
  if (left <= 0) return jittered(OFTEN_MS, random);
  const atOpening = left + SPREAD_MS * random();
  return Number.isFinite(left) ? Math.min(atOpening, jittered(SELDOM_MS, random)) : SELDOM_MS;
}
