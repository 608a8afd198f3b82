/** The cart as the server last told it, with its deadlines on this page's monotonic clock. */
import { cart as api } from '../api/client';
import { Problem } from '../api/problem';
import type { Booking, Cart, HeldSeat } from '../api/types';
import type { HoldMessage } from '../live/messages';
import { deadlineOf, secondsLeft } from './countdown';
import { expectRelease, rememberEventName } from './holds';

/** After a deadline the sweeper may need a moment; then the server's word replaces ours. */
const SETTLE_MS = 1_200;
const RETRY_MS = 5_000;

export class CartState {
  data = $state.raw<Cart | null>(null);
  /** Out of the cart since they were ordered, and not paid yet: the way back to their payment is from here. */
  private paying = $state.raw<Booking[]>([]);
  failure = $state.raw<unknown>(null);
  isBusy = $state(false);
  now = $state(performance.now());

  private receivedAt = performance.now();
  private checkAt = Infinity;

  get bookings(): Booking[] {
    return [...(this.data?.items ?? []), ...this.paying].filter((b) => b.seats.length > 0);
  }

  deadline = (seat: HeldSeat): number => deadlineOf(seat, this.data?.serverTime ?? '', this.receivedAt);

  async load(): Promise<void> {
    try {
      const [data, bookings] = await Promise.all([api.get(), api.bookings()]);
      this.paying = bookings.items.filter((b) => b.status === 'pending_payment');
      this.take(data);
      this.failure = null;
    } catch (error) {
      this.failure = error;
      if (this.data !== null) this.checkAt = performance.now() + RETRY_MS;
    }
  }

  /** Moves the clock on; when a hold ends it asks the server what is left. */
  tick(): void {
    this.now = performance.now();
    if (this.now < this.checkAt) return;
    this.checkAt = Infinity;
    void this.load();
  }

  remove(bookingId: Booking['id'], seat: HeldSeat): Promise<boolean> {
    expectRelease(bookingId);
    return this.run(async () => {
      if (seat.areaId !== undefined && seat.slot !== undefined) this.take(await api.removeSlot(seat.areaId, seat.slot));
      else if (seat.seatId !== undefined) this.take(await api.removeSeat(seat.seatId));
    });
  }

  cancel(bookingId: Booking['id']): Promise<boolean> {
    expectRelease(bookingId);
    return this.run(async () => {
      await api.cancel(bookingId);
      await this.load();
    });
  }

  /** The socket said that these are gone: they go at once, the totals follow from the server. */
  drop({ bookingId, seatIds, slots }: Pick<HoldMessage, 'bookingId' | 'seatIds' | 'slots'>): void {
    if (this.data === null) return;
    const gone = new Set([...seatIds.map(String), ...(slots ?? []).map((slot) => slot.join('/'))]);
    const isLeft = ({ seatId, areaId, slot }: HeldSeat) => !gone.has(seatId === undefined ? `${areaId}/${slot}` : String(seatId));
    const without = (b: Booking): Booking =>
      String(b.id) === String(bookingId) ? { ...b, seats: b.seats.filter(isLeft) } : b;
    this.data = { ...this.data, items: this.data.items.map(without) };
    this.paying = this.paying.map(without);
    void this.load();
  }

  private take(data: Cart): void {
    this.receivedAt = performance.now();
    this.now = this.receivedAt;
    this.data = data;
    for (const booking of data.items) rememberEventName(booking.eventId, booking.eventName);
    const ends = this.bookings.flatMap((b) => b.seats.map(this.deadline)).filter((d) => secondsLeft(d, this.now) > 0);
    this.checkAt = ends.length === 0 ? Infinity : Math.min(...ends) + SETTLE_MS;
  }

  private async run(change: () => Promise<void>): Promise<boolean> {
    this.isBusy = true;
    this.failure = null;
    try {
      await change();
      return true;
    } catch (error) {
      this.failure = error;
      // The seat may have gone meanwhile; the cart on the screen must not insist on it.
      if (error instanceof Problem && !error.isTransient) await api.get().then((data) => this.take(data), () => undefined);
      return false;
    } finally {
      this.isBusy = false;
    }
  }
}
