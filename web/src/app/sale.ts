/** When an event that is not on sale yet is looked at again: pure. */
import { jittered } from '../live/backoff';

/** Near the time it is asked for this often. */
const SOONEST_MS = 3_000;
/** This device's clock may be wrong, and the time may be moved. */
const LATEST_MS = 60_000;

/** The wait until then; a crowd that waits for the same moment is spread. */
export function nextSaleLookMs(salesOpenAt: string, nowMs: number, random: () => number): number {
  const left = Date.parse(salesOpenAt) - nowMs;
  const untilThen = Number.isFinite(left) ? left : LATEST_MS;
  return jittered(Math.min(LATEST_MS, Math.max(SOONEST_MS, untilThen)), random);
}
