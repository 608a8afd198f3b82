import { describe, expect, it } from 'vitest';
import { ANNOUNCE_EVERY_MS, shouldAnnounce } from './announce';
import { IntentKeys } from './intent';
import { addRef, isShownTo, type JobRef, MAX_REFS, parseRefs, removeRef, withPutAway } from './refs';
import { looser, onStandby } from './retry';

const ref = (jobId: string): JobRef => ({
  jobId, userId: '7', eventId: 1, eventName: 'E', request: { quantity: 2 }, startPlace: 9, joinedAt: 0,
});

describe('job references', () => {
  it('survive a round trip', () => {
    expect(parseRefs(JSON.stringify([ref('a')]))).toEqual([ref('a')]);
  });

  it('that make no sense are left out', () => {
    expect(parseRefs('not json')).toEqual([]);
    expect(parseRefs('{}')).toEqual([]);
    expect(parseRefs(JSON.stringify([ref('a'), { jobId: 5 }, null]))).toEqual([ref('a')]);
  });

  it('keep the first entry of a repeated job, and only so many', () => {
    const again = { ...ref('a'), startPlace: 1 };
    expect(addRef([ref('a')], again)).toEqual([ref('a')]);
    let refs: JobRef[] = [];
    for (let i = 0; i < MAX_REFS + 3; i++) refs = addRef(refs, ref(String(i)));
    expect(refs).toHaveLength(MAX_REFS);
    expect(removeRef(refs, '14').map((r) => r.jobId)).not.toContain('14');
  });
});

describe('a place at a shared device', () => {
  it('is shown to its owner only, and after a sign-out to nobody', () => {
    expect(isShownTo(ref('a'), '7')).toBe(true);
    expect(isShownTo(ref('a'), '8')).toBe(false);
    expect(isShownTo(ref('a'), null)).toBe(true);
    const [left, other] = withPutAway([ref('a'), { ...ref('b'), userId: '8' }], '7', true);
    expect(isShownTo(left!, null)).toBe(false);
    expect(isShownTo(left!, '7')).toBe(true);
    expect(isShownTo(other!, null)).toBe(true);
  });
});

describe('idempotency keys', () => {
  it('stay with a wish until it is answered', () => {
    let n = 0;
    const keys = new IntentKeys(() => `k${++n}`);
    expect(keys.keyOf('two seats')).toBe('k1');
    expect(keys.keyOf('two seats')).toBe('k1');
    expect(keys.keyOf('one seat')).toBe('k2');
    keys.settle('two seats');
    expect(keys.keyOf('two seats')).toBe('k3');
  });
});

describe('announcements', () => {
  it('are seldom for small steps and soon near the head', () => {
    const last = { place: 1000, atMs: 0 };
    expect(shouldAnnounce(null, 5, 0)).toBe(true);
    expect(shouldAnnounce(last, 999, 5_000)).toBe(false);
    expect(shouldAnnounce(last, 999, ANNOUNCE_EVERY_MS)).toBe(true);
    expect(shouldAnnounce(last, 400, 5_000)).toBe(true);
    expect(shouldAnnounce({ place: 4, atMs: 0 }, 1, 2_500)).toBe(true);
    expect(shouldAnnounce(last, 1000, 60_000)).toBe(false);
  });
});

describe('after a failure', () => {
  it('named seats become as many of any', () => {
    expect(looser({ seatIds: [1, 2, 3] }, 'seat_taken')).toEqual({ quantity: 3, fallback: 'any' });
    expect(looser({ quantity: 2, adjacent: true }, 'not_enough_adjacent')).toEqual({ quantity: 2, fallback: 'any' });
  });

  it('nothing is offered that cannot help', () => {
    expect(looser({ seatIds: [1] }, 'limit_reached')).toBeNull();
    expect(looser({ quantity: 2, fallback: 'any' }, 'sold_out')).toBeNull();
  });

  it('standby is offered once, where all is sold', () => {
    expect(onStandby({ quantity: 2 }, 'sold_out')).toEqual({ quantity: 2, standby: true });
    expect(onStandby({ quantity: 2, standby: true }, 'sold_out')).toBeNull();
    expect(onStandby({ quantity: 2 }, 'sale_closed')).toBeNull();
  });
});
