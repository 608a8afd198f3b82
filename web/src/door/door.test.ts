import { describe, expect, it } from 'vitest';
import { Problem } from '../api/problem';
import { afterError, scanOf, SeenOnce, shownBy } from './machine';
import { parseDoor } from './memory';

describe('what is shown at a door', () => {
  it('is a signed code, or a number however it is written', () => {
    expect(shownBy(' UT1.abc-_9.Zx \n')).toEqual({ code: 'UT1.abc-_9.Zx' });
    expect(shownBy('7k2m-9qrt 4x0z')).toEqual({ number: '7K2M9QRT4X0Z' });
  });

  it('is not asked about when it can be no ticket', () => {
    for (const text of ['', 'https://example.test', 'UT1.only', '7K2M9QRT4X0', '7K2M9QRT4X0ZZ']) expect(shownBy(text)).toBeNull();
  });

  it('is for one event and one door', () => {
    expect(scanOf('7K2M9QRT4X0Z', 3, ' North ')).toEqual({ eventId: 3, gate: 'North', number: '7K2M9QRT4X0Z' });
  });
});

describe('a refusal', () => {
  it('says why, and when the ticket was used', () => {
    const used = { at: '2026-11-20T18:00:00Z', gate: 'North' };
    expect(afterError(new Problem(409, 'already_used', '', null, null, used))).toEqual({ is: 'refused', code: 'already_used', used });
    expect(afterError(new Problem(409, 'wrong_event', ''))).toMatchObject({ is: 'refused', used: null });
  });

  it('is not made of a lost connection', () => {
    expect(afterError(new Problem(0, 'offline', '')).is).toBe('unknown');
    expect(afterError(new Problem(403, 'forbidden', '')).is).toBe('unknown');
  });
});

describe('a camera', () => {
  it('tells a code once while it stays in the picture', () => {
    const seen = new SeenOnce(3_000);
    expect([seen.isNew('a', 0), seen.isNew('a', 200), seen.isNew('a', 3_100), seen.isNew('b', 3_200), seen.isNew('a', 3_300)]).toEqual([
      true, false, false, true, true,
    ]);
    expect(seen.isNew('a', 9_000)).toBe(true);
  });
});

describe('the door', () => {
  it('is remembered, and nothing else', () => {
    expect(parseDoor({ eventId: 3, gate: 'North' })).toEqual({ eventId: 3, gate: 'North' });
    for (const junk of [null, 'x', { eventId: '3', gate: 4 }]) expect(parseDoor(junk)).toEqual({ eventId: null, gate: '' });
  });
});
