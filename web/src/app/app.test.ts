import { describe, expect, it } from 'vitest';
import type { Lane } from '../api/types';
import { deadlineOf, secondsLeft, urgencyOf } from './countdown';
import { BLANK, flawsOf, isPassword, toRegistration } from './credentials';
import { isRunning, waitingOf, withQuietEvents } from './lanes';
import { filterPath, isNarrowed, NO_FILTER, readFilter } from './filter';
import { loginPath, matchRoute, placeKey, safeNext } from './routes';
import { nextSaleLookMs } from './sale';

describe('a sale to come', () => {
  it('is looked at when it opens, now and then before, and often when it should have opened', () => {
    const now = Date.parse('2026-01-01T10:00:00Z');
    const at = (time: string): number => nextSaleLookMs(time, now, () => 0.5);
    expect(at('2026-01-01T12:00:00Z')).toBe(60_000);
    expect(at('2026-01-01T10:00:20Z')).toBe(20_750);
    expect(nextSaleLookMs('2026-01-01T10:00:50Z', now, () => 0.99)).toBeLessThan(52_000);
    expect(at('2026-01-01T09:59:00Z')).toBe(3_000);
    expect(at('no date')).toBe(60_000);
  });
});

describe('addresses', () => {
  it('lead to their pages', () => {
    expect(matchRoute('/')).toEqual({ page: 'concerts', filter: NO_FILTER });
    expect(matchRoute('/concerts/')).toEqual({ page: 'concerts', filter: NO_FILTER });
    expect(matchRoute('/concerts/12')).toEqual({ page: 'concert', eventId: 12 });
    expect(matchRoute('/cart').page).toBe('cart');
    expect(matchRoute('/concerts/x').page).toBe('notFound');
    expect(matchRoute('/login', '?next=%2Fcart')).toEqual({ page: 'login', next: '/cart' });
    expect(matchRoute('/orders').page).toBe('orders');
    expect(matchRoute('/orders/a1-b2')).toEqual({ page: 'order', orderId: 'a1-b2', came: 'here' });
    expect(matchRoute('/tickets/a1')).toEqual({ page: 'ticket', ticketId: 'a1' });
    expect(matchRoute('/tickets/queue/a1').page).toBe('notFound');
    expect(matchRoute('/account/').page).toBe('account');
  });

  it('bring people back from the payment page to their order', () => {
    expect(matchRoute('/checkout/success', '?order=a1-b2')).toEqual({ page: 'order', orderId: 'a1-b2', came: 'success' });
    expect(matchRoute('/checkout/fail', '?order=a1-b2&x=1')).toMatchObject({ came: 'fail' });
    for (const [path, search] of [['/checkout/success', ''], ['/checkout/fail', '?order=../x'], ['/checkout/other', '?order=a']]) {
      expect(matchRoute(path ?? '', search)).toEqual({ page: 'notFound' });
    }
  });

  it('lead admins to what they keep', () => {
    expect(matchRoute('/admin')).toEqual({ page: 'office', part: 'events', id: null });
    expect(matchRoute('/admin/events/7')).toEqual({ page: 'office', part: 'events', id: 7 });
    expect(matchRoute('/admin/artists/new')).toEqual({ page: 'office', part: 'artists', id: 'new' });
    for (const path of ['/admin/nothing', '/admin/events/x', '/admin/events/7/8']) expect(matchRoute(path).page).toBe('notFound');
  });

  it('stay the same place while a list is narrowed down', () => {
    expect(placeKey(matchRoute('/concerts', '?q=jazz'))).toBe(placeKey(matchRoute('/')));
    expect(placeKey(matchRoute('/orders/a'))).not.toBe(placeKey(matchRoute('/orders/b')));
  });

  it('never lead to another site after signing in', () => {
    for (const next of ['https://evil.test', '//evil.test', '/\\evil.test', 'cart', '/login?next=/cart', '/password', null]) {
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
  const full = {
    firstName: ' Ada ', lastName: 'L', phone: ' +38 (050) 123-45-67 ', email: 'ada@usher.test', login: 'ada',
    password: 'long enough', consent: true,
  };

  it('asks for less from those who have an account', () => {
    expect(flawsOf(BLANK, false)).toEqual({ login: 'required', password: 'required' });
    expect(flawsOf({ ...BLANK, login: 'ada', password: 'x' }, false)).toEqual({});
  });

  it('names every flaw of a registration', () => {
    expect(flawsOf(full, true)).toEqual({});
    expect(flawsOf(BLANK, true)).toEqual({
      firstName: 'required', lastName: 'required', phone: 'required', email: 'required', login: 'required',
      password: 'required', consent: 'consent',
    });
    expect(flawsOf({ ...full, phone: '12', email: 'ada', login: 'a@b', password: 'short', consent: false }, true)).toEqual({
      phone: 'phone', email: 'email', login: 'login', password: 'password', consent: 'consent',
    });
    expect(flawsOf({ ...full, firstName: 'x'.repeat(101), email: `${'x'.repeat(99)}@b.c` }, true)).toEqual({
      firstName: 'long', email: 'long',
    });
  });

  it('counts a password as the server does', () => {
    const ofLength = (n: number): string => '🎻'.repeat(n);
    expect([7, 8, 128, 129].map((n) => isPassword(ofLength(n)))).toEqual([false, true, true, false]);
  });

  it('sends what was meant, in the language of the page', () => {
    expect(toRegistration(full, 'uk')).toEqual({
      lastName: 'L', firstName: 'Ada', phone: '+38 (050) 123-45-67', email: 'ada@usher.test', login: 'ada',
      password: 'long enough', language: 'uk', consent: true,
    });
  });
});

describe('a filter', () => {
  it('stands in the address, and blank parts do not', () => {
    const filter = { ...NO_FILTER, city: ' Kyiv ', from: '2026-11-20', isPast: true };
    expect(filterPath(filter)).toBe('/concerts?city=Kyiv&from=2026-11-20&past=1');
    expect(filterPath(NO_FILTER)).toBe('/concerts');
    expect(readFilter('?city=Kyiv&from=2026-11-20&past=1')).toEqual({ ...filter, city: 'Kyiv' });
  });

  it('takes in nothing that the server would refuse', () => {
    expect(readFilter('?from=soon&to=2026-1-1')).toEqual(NO_FILTER);
    expect(readFilter(`?q=${'x'.repeat(300)}`).q).toHaveLength(200);
  });

  it('is told apart from words', () => {
    expect(isNarrowed({ ...NO_FILTER, q: 'jazz', isPast: true })).toBe(false);
    expect(isNarrowed({ ...NO_FILTER, genre: 'jazz' })).toBe(true);
  });
});

describe('the operator’s list', () => {
  const event = { id: 3, name: 'Club', status: 'on_sale', queuePaused: true, queueMessage: 'soon' } as const;
  const busy: Lane = {
    eventId: 8, eventName: 'Hall', waiting: 5, active: 0, standby: 0, paused: false, message: null,
    oldestWaitingSeconds: 1, lease: null,
  };

  it('has events whose line is not in use yet, once each', () => {
    const rows = withQuietEvents([], 0, [event, { ...event, id: 4, status: 'closed', queuePaused: false }]);
    expect(rows.map((r) => [r.eventId, r.paused, r.message])).toEqual([[3, true, 'soon']]);
    expect(withQuietEvents([busy], 1, [{ ...event, id: busy.eventId }])).toEqual([busy]);
  });

  it('does not say that nobody waits where the server did not tell', () => {
    const empty = { ...busy, eventId: 9, waiting: 0 };
    const figures = (lanes: Lane[], total: number): unknown[] => {
      return withQuietEvents(lanes, total, [event]).filter((r) => r.eventId === 3).map((r) => [r.waiting, r.active, r.standby]);
    };
    expect(figures([busy], 2)).toEqual([[null, null, null]]);
    expect(figures([{ ...empty, active: 1 }, { ...empty, standby: 1 }], 3)).toEqual([[null, null, null]]);
    // All are told, or one where nobody is: those come last.
    expect(figures([busy], 1)).toEqual([[0, 0, 0]]);
    expect(figures([busy, empty], 3)).toEqual([[0, 0, 0]]);
  });

  it('counts those who wait in a line that rests', () => {
    expect(waitingOf({ waiting: 5, delayed: 7 })).toBe(12);
  });

  it('knows where a message ends no pause', () => {
    const rows = withQuietEvents([], 0, [event, { ...event, id: 4, queuePaused: false }]);
    expect([3, 4, 5].map((id) => isRunning(rows, id))).toEqual([false, true, false]);
    expect(isRunning(rows, 'all')).toBe(true);
    expect(isRunning(withQuietEvents([], 0, [event]), 'all')).toBe(false);
  });
});
