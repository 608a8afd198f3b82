/** What a cart still has to be bought, apart from what is being paid for already: pure. */
import type { Booking, Money } from '../api/types';

export interface Basket {
  /** Per currency, in order of appearance. */
  total: Money[];
  isFree: boolean;
  /** One order has one currency; otherwise bookings are bought one by one. */
  isOneOrder: boolean;
}

export function basketOf(bookings: readonly Pick<Booking, 'status' | 'total'>[]): Basket {
  const sums = new Map<string, number>();
  for (const { status, total } of bookings) {
    if (status === 'created') sums.set(total.currency, (sums.get(total.currency) ?? 0) + total.amount);
  }
  const total = [...sums].map(([currency, amount]) => ({ amount, currency }));
  return { total, isFree: total.every((sum) => sum.amount === 0), isOneOrder: total.length === 1 };
}
