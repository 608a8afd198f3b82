/**
 * What an order is to its shopper: a tagged union made of the server's last word and of how they came here. That the
 * provider sent somebody back proves nothing; only the order says what was paid.
 */
import type { Order, PaymentStatus } from '../api/purchase';
import type { Came } from '../app/routes';
import { backoffMs } from '../live/backoff';

export type OrderView =
  | { is: 'loading' }
  /** There is no such order, or it is somebody else's. */
  | { is: 'missing' }
  /** The provider was left after paying; its word is on the way. */
  | { is: 'confirming'; order: Order }
  /** The seats are held and can be paid for. */
  | { is: 'unpaid'; order: Order; why: 'open' | 'left' | 'declined' }
  /** The time is over, or the money only set aside: the provider is being asked. */
  | { is: 'settling'; order: Order }
  | { is: 'paid'; order: Order; hasTickets: boolean }
  | { is: 'givenBack'; order: Order; isWhole: boolean }
  | { is: 'over'; order: Order; why: 'expired' | 'cancelled' };

export function viewOf(order: Order, came: Came): OrderView {
  switch (order.status) {
    case 'awaiting_payment':
      return awaiting(order, came);
    case 'expiring':
      return { is: 'settling', order };
    case 'paid':
    case 'fulfilled':
      return { is: 'paid', order, hasTickets: order.status === 'fulfilled' };
    case 'partially_refunded':
    case 'refunded':
      return { is: 'givenBack', order, isWhole: order.status === 'refunded' };
    case 'expired':
    case 'cancelled':
      return { is: 'over', order, why: order.status };
  }
}

const MONEY_MOVES: ReadonlySet<PaymentStatus> = new Set(['authorized', 'captured']);
const GAVE_UP: ReadonlySet<PaymentStatus> = new Set(['declined', 'failed', 'expired', 'reversed']);

function awaiting(order: Order, came: Came): OrderView {
  const attempt = order.paymentStatus ?? 'open';
  if (MONEY_MOVES.has(attempt)) return { is: 'settling', order };
  if (GAVE_UP.has(attempt)) return { is: 'unpaid', order, why: 'declined' };
  if (came === 'success') return { is: 'confirming', order };
  return { is: 'unpaid', order, why: came === 'fail' ? 'left' : 'open' };
}

/** The same with the clock: what can't be paid any more is not offered, even before the server says so. */
export function atTime(view: OrderView, secondsLeft: number): OrderView {
  const isOffered = view.is === 'confirming' || view.is === 'unpaid';
  return isOffered && secondsLeft <= 0 ? { is: 'settling', order: view.order } : view;
}

export function hasCountdown(view: OrderView): view is Extract<OrderView, { is: 'confirming' | 'unpaid' }> {
  return view.is === 'confirming' || view.is === 'unpaid';
}

/** Whether the server has nothing more to say that this page would show. */
export function isSettled(view: OrderView): boolean {
  switch (view.is) {
    case 'missing':
      return true;
    case 'over':
    case 'givenBack':
      return !view.order.items.some((item) => item.status === 'refunding');
    case 'paid':
      return view.hasTickets && !view.order.items.some((item) => item.status === 'refunding');
    case 'loading':
    case 'confirming':
    case 'unpaid':
    case 'settling':
      return false;
  }
}

const LOOK_AGAIN: Record<OrderView['is'], number> = {
  loading: 500, missing: 0, confirming: 1_500, unpaid: 4_000, settling: 2_000, paid: 1_500, givenBack: 5_000, over: 5_000,
};
/** After so many looks the answer is not around the corner. */
const PATIENCE = 20;

const AFTER_FAILURE = { firstMs: 1_000, maxMs: 20_000 };

/** The wait before the next look, or null when nothing more is to be learnt. */
export function nextLookMs(
  view: OrderView,
  looks: number,
  failures: number,
  retryAfterSeconds: number | null,
  random: () => number,
): number | null {
  if (isSettled(view)) return null;
  const usual = LOOK_AGAIN[view.is] * (looks > PATIENCE ? 3 : 1);
  const waitMs = failures === 0 ? usual : Math.max(usual, backoffMs(failures, AFTER_FAILURE, random));
  return Math.max(waitMs, (retryAfterSeconds ?? 0) * 1_000);
}

/** Items that can still be given back, as far as their order says; the event's own rules are the server's to know. */
export function returnable(order: Order): Order['items'] {
  const isPaid = order.status === 'paid' || order.status === 'fulfilled' || order.status === 'partially_refunded';
  return isPaid ? order.items.filter((item) => item.status === 'sold') : [];
}
