/**
 * Time left of a hold. The server says how long it was when it answered; from there a monotonic clock counts, so a
 * wrong or changed clock of the device moves nothing.
 */

/** The moment on the monotonic clock when the hold ends; `receivedAt` is that clock's reading at the answer. */
export function deadlineOf(
  hold: { expiresAt: string; remainingSeconds: number },
  serverTime: string,
  receivedAt: number,
): number {
  const exact = Date.parse(hold.expiresAt) - Date.parse(serverTime);
  const whole = hold.remainingSeconds * 1_000;
  // Both come from the server; they differ by rounding only, or the finer one can't be read.
  const left = Number.isFinite(exact) && Math.abs(exact - whole) <= 1_500 ? exact : whole;
  return receivedAt + Math.max(0, left);
}

export function secondsLeft(deadline: number, now: number): number {
  return Math.max(0, (deadline - now) / 1_000);
}

export type Urgency = 'calm' | 'soon' | 'now' | 'over';

export function urgencyOf(seconds: number): Urgency {
  if (seconds <= 0) return 'over';
  if (seconds <= 30) return 'now';
  return seconds <= 120 ? 'soon' : 'calm';
}
