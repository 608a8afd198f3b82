import { describe, expect, it } from 'vitest';
import { deadlineOf, secondsLeft, urgencyOf } from './countdown';
import { BLANK, flawsOf, toRegistration } from './credentials';
import { withQuietEvents } from './lanes';
import { loginPath, matchRoute, safeNext } from './routes';

describe('addresses', () => {
  it('lead to their pages', () => {
    expect(matchRoute('/')).toEqual({ page: 'concerts' });
    expect(matchRoute('/concerts/')).toEqual({ page: 'concerts' });
    expect(matchRoute('/concerts/12')).toEqual({ page: 'concert', eventId: 12 });
    expect(matchRoute('/cart').page).toBe('cart');
    expect(matchRoute('/concerts/x').page).toBe('notFound');
    expect(matchRoute('/login', '?next=%2Fcart')).toEqual({ page: 'login', next: '/cart' });
  });

  it('never lead to another site after signing in', () => {
    for (const next of ['https://evil.test', '//evil.test', '/\\evil.test', 'cart', '/login?next=/cart', null]) {
      expect(safeNext(next)).toBe('/concerts');
    }
    expect(loginPath('/concerts/1?x=2')).toBe('/login?next=%2Fconcerts%2F1%3Fx%3D2');
  });
});

describe('a countdown', () => {
  const serverTime = '2026-05-01T10:00:00.250Z';

  it('runs on the server’s two times, whatever the device believes', () => {
    const hold = { expiresAt: '2026-05-01T10:15:00.000Z', remainingSeconds: 899 };
    const deadline = deadlineOf(hold, serverTime, 5_000);
    expect(deadline).toBe(5_000 + 899_750);
    expect(secondsLeft(deadline, 5_000 + 899_000)).toBeCloseTo(0.75);
    expect(secondsLeft(deadline, 9_999_999)).toBe(0);
  });

  it('falls back to whole seconds where times can’t be read or disagree', () => {
    expect(deadlineOf({ expiresAt: 'soon', remainingSeconds: 60 }, serverTime, 0)).toBe(60_000);
    expect(deadlineOf({ expiresAt: '2027-01-01T00:00:00Z', remainingSeconds: 60 }, serverTime, 0)).toBe(60_000);
  });

  it('grows urgent', () => {
    expect([500, 120, 30, 0].map(urgencyOf)).toEqual(['calm', 'soon', 'now', 'over']);
  });
});

describe('the sign-in form', () => {
  const full = { ...BLANK, firstName: ' Ada ', lastName: 'L', email: 'ada@usher.test', password: 'long enough', consent: true };

  it('asks for less from those who have an account', () => {
    expect(flawsOf(BLANK, false)).toEqual({ login: 'required', password: 'required' });
    expect(flawsOf({ ...BLANK, login: 'ada', password: 'x' }, false)).toEqual({});
  });

  it('names every flaw of a registration', () => {
    expect(flawsOf({ ...full, email: 'ada', password: 'short', consent: false }, true)).toEqual({
      email: 'email', password: 'password', consent: 'consent',
    });
    expect(flawsOf(full, true)).toEqual({});
  });

  it('leaves out what was left blank', () => {
    expect(toRegistration(full)).toEqual({
      email: 'ada@usher.test', password: 'long enough', firstName: 'Ada', lastName: 'L', consent: true,
    });
    expect(toRegistration({ ...full, phone: ' +380 1 ' })).toMatchObject({ phone: '+380 1' });
  });
});

describe('the operator’s list', () => {
  const event = { id: 3, name: 'Club', status: 'on_sale', queuePaused: true, queueMessage: 'soon' } as const;

  it('has events whose line is not in use yet, once each', () => {
    const rows = withQuietEvents([], [event, { ...event, id: 4, status: 'closed', queuePaused: false }]);
    expect(rows.map((r) => [r.eventId, r.paused, r.message])).toEqual([[3, true, 'soon']]);
    expect(withQuietEvents(rows, [event])).toHaveLength(1);
  });
});
