/** The shapes of docs/API.md, by the same names. */

export interface Money {
  amount: number;
  currency: string;
}

export type Role = 'shopper' | 'operator' | 'admin' | 'scanner';

export interface Me {
  userId: string | number;
  email: string;
  firstName: string;
  lastName?: string;
  role: Role;
}

export interface LoggedIn {
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
  user: Me;
}

export interface Registration {
  email: string;
  password: string;
  firstName: string;
  lastName: string;
  login?: string;
  phone?: string;
  language?: 'en' | 'uk' | 'ru';
  consent: true;
}

export type EventStatus = 'on_sale' | 'upcoming' | 'closed' | 'cancelled';

/** One event alone also tells what takes more than a line. */
export interface Performer {
  id: number;
  name: string;
  genre: string;
  occupation?: string;
  biography?: string;
  works?: string[];
}

export interface EventCard {
  id: number;
  name: string;
  description: string;
  venue: { name: string; city: string; address?: string };
  artists: Performer[];
  startsAt: string;
  salesOpenAt: string;
  salesCloseAt: string;
  totalSeats: number;
  availableSeats: number;
  priceFrom: Money | null;
  seatLimit: number;
  holdSeconds: number;
  status: EventStatus;
  queuePaused: boolean;
  queueMessage: string | null;
}

export interface Tier {
  id: number;
  name: string;
  price: Money;
}

export interface GaArea {
  id: number;
  name: string;
  kind: 'ga';
  capacity: number;
  tierId: number;
}

export interface EventDetail extends EventCard {
  tiers: Tier[];
  sections: { id: number; name: string; kind: 'seated'; seats: number }[];
  areas: GaArea[];
}

export interface Page<T> {
  items: T[];
  page: number;
  pageSize: number;
  total: number;
  /** There may be more than were counted. */
  isMore?: boolean;
}

export type SeatTuple = [seatId: number, label: string, x: number, y: number];

export interface SeatMapDoc {
  eventId: number;
  layoutVersion: number;
  sections: {
    id: number;
    name: string;
    /** Without a tier where its seats are of several. */
    rows: { label: string; tierId?: number; seats: SeatTuple[] }[];
  }[];
}

export interface WaitRange {
  min: number;
  max: number;
}

export interface Accepted {
  message: string;
  jobId: string;
  queueId: string;
  queuePosition: number;
  estimatedWaitTime: string;
  waitRange?: WaitRange | null;
  statusEndpoint: string;
}

export interface WonSeat {
  seatId?: number;
  areaId?: number;
  section: string;
  row: string | null;
  number: string | number;
  price: Money;
}

export interface JobResult {
  bookingId: string | number;
  seats: WonSeat[];
  expiresAt: string;
  remainingSeconds: number;
}

export type FailureCode =
  | 'seat_taken'
  | 'sold_out'
  | 'not_enough_adjacent'
  | 'limit_reached'
  | 'already_booked'
  | 'sale_closed'
  | 'left'
  | 'removed'
  | 'internal';

export type Status =
  | {
      status: 'queued';
      eventId: number;
      /** Absent, with the estimate, until it is known. */
      place?: number;
      waiting: number;
      estimatedWaitTime?: string;
      waitRange?: WaitRange | null;
      paused: boolean;
      message?: string | null;
      recovering?: boolean;
      standby?: boolean;
    }
  | { status: 'processing'; eventId: number; progress: number }
  | { status: 'completed'; eventId: number; result?: JobResult | null }
  | { status: 'failed'; eventId: number; error: string; code: FailureCode };

/** What one asks of the line: named seats, or any that fit. */
export type BookRequest =
  | { seatIds: number[]; fallback?: 'any'; standby?: boolean }
  | {
      quantity: number;
      tierId?: number;
      sectionId?: number;
      areaId?: number;
      adjacent?: boolean;
      fallback?: 'any';
      standby?: boolean;
    };

export interface HeldSeat {
  seatId?: number;
  areaId?: number;
  slot?: number;
  section: string;
  row: string | null;
  number: string | number;
  price: Money;
  expiresAt: string;
  remainingSeconds: number;
}

export interface Booking {
  id: string | number;
  eventId: number;
  eventName: string;
  status: 'created' | 'pending_payment' | 'paid' | 'cancelled' | 'expired';
  createdAt: string;
  seats: HeldSeat[];
  total: Money;
}

export interface Cart {
  items: Booking[];
  total: Money[];
  serverTime: string;
}

export interface QueueStats {
  waiting: number;
  active: number;
  delayed: number;
  completed: number;
  failed: number;
  stalled: number;
  paused: boolean;
  lanes: number;
  successRate?: number | null;
  processing: { p50Ms: number; p95Ms: number; throughputPerSecond: number };
}

export interface Lane {
  eventId: number;
  eventName: string;
  waiting: number;
  active: number;
  standby: number;
  paused: boolean;
  message: string | null;
  oldestWaitingSeconds: number | null;
  lease: { worker: string; fence: number; untilMs: number; stalled: boolean } | null;
}
