/** When to try again: pure, so that the numbers can be held to by tests. */

export interface BackoffPolicy {
  firstMs: number;
  maxMs: number;
}

export const SOCKET_BACKOFF: BackoffPolicy = { firstMs: 500, maxMs: 30_000 };

/**
 * The wait before attempt `attempt` (0 is the first retry): doubles up to the cap, then a uniformly random point of
 * its upper half, so that a crowd cut off together does not come back together.
 */
export function backoffMs(attempt: number, policy: BackoffPolicy, random: () => number): number {
  const ceiling = Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(attempt, 20));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}

/** Spreads `ms` by ±30 %. */
export function jittered(ms: number, random: () => number): number {
  return Math.round(ms * (0.7 + 0.6 * random()));
}

/** How often to ask for a place without a socket: often near the head, seldom far away. */
export function pollIntervalMs(place: number | null): number {
  if (place === null || place <= 20) return 1_500;
  if (place <= 500) return 3_000;
  if (place <= 5_000) return 6_000;
  return 12_000;
}

/** The wait before the next poll; what the server asks for (`Retry-After`) is never undercut. */
export function nextPollMs(
  place: number | null,
  failures: number,
  retryAfterSeconds: number | null,
  random: () => number,
): number {
  const base = jittered(pollIntervalMs(place), random);
  const backedOff = failures === 0 ? base : Math.max(base, backoffMs(failures, SOCKET_BACKOFF, random));
  if (retryAfterSeconds === null) return backedOff;
  return Math.max(backedOff, retryAfterSeconds * 1_000 + Math.round(1_000 * random()));
}
