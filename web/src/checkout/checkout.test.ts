import { describe, expect, it } from 'vitest';
import type { Order, OrderStatus, PaymentStatus } from '../api/purchase';
import { basketOf } from './basket';
import { paymentPage } from './leave';
import { atTime, hasCountdown, isSettled, nextLookMs, returnable, viewOf } from './machine';

const item = {
  id: 'i1', bookingId: 1, eventId: 7, eventName: 'Club', place: 'Row 1', tier: 'A',
  price: { amount: 500, currency: 'EUR' }, status: 'held',
} as const;

function order(status: OrderStatus, paymentStatus?: PaymentStatus, more: Partial<Order> = {}): Order {
  return {
    id: 'o1', status, total: { amount: 500, currency: 'EUR' }, createdAt: '', payUntil: '', remainingSeconds: 200,
    items: [item], ...(paymentStatus ? { paymentStatus } : {}), ...more,
  };
}

describe('an order', () => {
  it('is confirmed by the server alone, however one came back', () => {
    expect(viewOf(order('awaiting_payment', 'open'), 'success').is).toBe('confirming');
    expect(viewOf(order('awaiting_payment', 'authorized'), 'success').is).toBe('settling');
    expect(viewOf(order('paid', 'captured'), 'fail')).toMatchObject({ is: 'paid', hasTickets: false });
    expect(viewOf(order('fulfilled', 'captured'), 'here')).toMatchObject({ is: 'paid', hasTickets: true });
  });

  it('can be paid again after a decline, and after walking away', () => {
    for (const status of ['declined', 'failed', 'expired'] as const) {
      expect(viewOf(order('awaiting_payment', status), 'success')).toMatchObject({ is: 'unpaid', why: 'declined' });
    }
    expect(viewOf(order('awaiting_payment', 'open'), 'fail')).toMatchObject({ is: 'unpaid', why: 'left' });
    expect(viewOf(order('awaiting_payment'), 'here')).toMatchObject({ is: 'unpaid', why: 'open' });
  });

  it('is not offered for payment once the time is up, even before the server says so', () => {
    const unpaid = viewOf(order('awaiting_payment', 'declined'), 'fail');
    expect(atTime(unpaid, 0.1)).toBe(unpaid);
    expect(atTime(unpaid, 0).is).toBe('settling');
    expect(hasCountdown(unpaid)).toBe(true);
    const paid = viewOf(order('paid'), 'here');
    expect(atTime(paid, 0)).toBe(paid);
  });

  it('ends', () => {
    expect(viewOf(order('expired'), 'success')).toMatchObject({ is: 'over', why: 'expired' });
    expect(viewOf(order('cancelled'), 'here')).toMatchObject({ is: 'over', why: 'cancelled' });
    expect(viewOf(order('partially_refunded'), 'here')).toMatchObject({ is: 'givenBack', isWhole: false });
    expect(viewOf(order('refunded'), 'here')).toMatchObject({ is: 'givenBack', isWhole: true });
  });

  it('can be given back as far as its places are sold', () => {
    const sold = { ...item, status: 'sold' } as const;
    const gone = { ...item, id: 'i2', status: 'refunded' } as const;
    expect(returnable(order('partially_refunded', 'captured', { items: [sold, gone] }))).toEqual([sold]);
    expect(returnable(order('awaiting_payment', 'open', { items: [sold] }))).toEqual([]);
  });
});

describe('looking again', () => {
  const half = (): number => 0.5;

  it('ends with the order, and not before its tickets and its money have arrived', () => {
    expect(nextLookMs(viewOf(order('fulfilled'), 'here'), 1, 0, null, half)).toBeNull();
    expect(nextLookMs(viewOf(order('expired'), 'here'), 1, 0, null, half)).toBeNull();
    expect(isSettled(viewOf(order('paid'), 'here'))).toBe(false);
    const returning = order('refunded', 'captured', { items: [{ ...item, status: 'refunding' }] });
    expect(isSettled(viewOf(returning, 'here'))).toBe(false);
  });

  it('grows seldom with time, and with failures', () => {
    const view = viewOf(order('awaiting_payment', 'open'), 'success');
    expect(nextLookMs(view, 1, 0, null, half)).toBe(1_500);
    expect(nextLookMs(view, 30, 0, null, half)).toBe(4_500);
    expect(nextLookMs(view, 1, 5, null, half)).toBe(15_000);
  });

  it('waits as long as the server asks for', () => {
    expect(nextLookMs(viewOf(order('expiring'), 'here'), 1, 1, 30, half)).toBe(30_000);
  });
});

describe('the payment page', () => {
  it('is a web page, here or elsewhere', () => {
    expect(paymentPage('https://pay.test/s/1', 'http://shop.test/cart')).toBe('https://pay.test/s/1');
    expect(paymentPage('/sandbox/1', 'http://shop.test/cart')).toBe('http://shop.test/sandbox/1');
    for (const url of ['javascript:alert(1)', 'data:text/html,x', 'http://']) expect(paymentPage(url, 'http://shop.test/')).toBeNull();
  });
});

describe('a cart', () => {
  const eur = (amount: number) => ({ amount, currency: 'EUR' });

  it('is bought without what is being paid for already', () => {
    const bookings = [
      { status: 'created', total: eur(500) }, { status: 'pending_payment', total: eur(900) }, { status: 'created', total: eur(0) },
    ] as const;
    expect(basketOf(bookings)).toEqual({ total: [eur(500)], isFree: false, isOneOrder: true });
    expect(basketOf([{ status: 'pending_payment', total: eur(900) }])).toMatchObject({ total: [], isOneOrder: false });
  });

  it('is bought one by one where its currencies differ', () => {
    const jpy = { amount: 100, currency: 'JPY' };
    expect(basketOf([{ status: 'created', total: eur(5) }, { status: 'created', total: jpy }])).toEqual({
      total: [eur(5), jpy], isFree: false, isOneOrder: false,
    });
  });

  it('can cost nothing', () => {
    expect(basketOf([{ status: 'created', total: eur(0) }])).toMatchObject({ isFree: true, isOneOrder: true });
  });
});
