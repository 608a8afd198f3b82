/** Follows one order until nothing more is to be learnt of it, with its deadline on this page's monotonic clock. */
import { orders } from '../api/client';
import { Problem } from '../api/problem';
import type { Order } from '../api/purchase';
import { secondsLeft } from '../app/countdown';
import type { Came } from '../app/routes';
import { atTime, hasCountdown, nextLookMs, type OrderView, viewOf } from './machine';

export class OrderFollower {
  /** Why nothing is heard of the order. */
  failure = $state.raw<unknown>(null);
  /** Why what was asked for last was not done. */
  refusal = $state.raw<unknown>(null);
  isBusy = $state(false);
  private heard = $state.raw<OrderView>({ is: 'loading' });
  private now = $state(performance.now());
  private deadline = $state(Infinity);
  private looks = 0;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly clock: ReturnType<typeof setInterval>;
  private isStopped = false;

  constructor(
    readonly orderId: string,
    private readonly came: Came,
  ) {
    this.clock = setInterval(() => (this.now = performance.now()), 250);
    document.addEventListener('visibilitychange', this.seen);
    void this.look();
  }

  get secondsLeft(): number {
    return secondsLeft(this.deadline, this.now);
  }

  get view(): OrderView {
    return atTime(this.heard, this.secondsLeft);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
    clearInterval(this.clock);
    document.removeEventListener('visibilitychange', this.seen);
  }

  /** The page to go to for paying, or null when there is nothing to pay. */
  async pay(): Promise<string | null> {
    let page: string | null = null;
    await this.change(async () => {
      page = (await orders.pay(this.orderId)).redirectUrl ?? null;
      if (page === null) this.take(await orders.get(this.orderId));
    });
    return page;
  }

  cancel(): Promise<boolean> {
    return this.change(async () => this.take(await orders.cancel(this.orderId)));
  }

  refund(itemIds: string[]): Promise<boolean> {
    return this.change(async () => this.take(await orders.refund(this.orderId, itemIds)));
  }

  /** Asks now; what follows is up to what comes back. */
  async look(): Promise<void> {
    clearTimeout(this.timer);
    let retryAfter: number | null = null;
    try {
      const order = await orders.get(this.orderId);
      if (this.isBusy) return;
      this.take(order);
      this.failures = 0;
      this.failure = null;
    } catch (error) {
      this.failures += 1;
      if (!(error instanceof Problem) || !error.isTransient) {
        this.heard = { is: 'missing' };
        this.failure = error;
      } else if (this.failures > 2 || this.heard.is === 'loading') this.failure = error;
      retryAfter = error instanceof Problem ? error.retryAfterSeconds : null;
    }
    this.looks += 1;
    this.schedule(retryAfter);
  }

  private readonly seen = (): void => {
    if (document.visibilityState === 'visible' && !this.isStopped) void this.look();
  };

  private schedule(retryAfter: number | null = null): void {
    clearTimeout(this.timer);
    const waitMs = nextLookMs(this.heard, this.looks, this.failures, retryAfter, Math.random);
    if (!this.isStopped && waitMs !== null) this.timer = setTimeout(() => void this.look(), waitMs);
  }

  private take(order: Order): void {
    this.now = performance.now();
    this.heard = viewOf(order, this.came);
    this.deadline = hasCountdown(this.heard) ? this.now + order.remainingSeconds * 1_000 : Infinity;
  }

  private async change(act: () => Promise<void>): Promise<boolean> {
    this.isBusy = true;
    this.refusal = null;
    try {
      await act();
      return true;
    } catch (error) {
      this.refusal = error;
      return false;
    } finally {
      this.isBusy = false;
      this.looks = 0;
      this.schedule();
    }
  }
}
