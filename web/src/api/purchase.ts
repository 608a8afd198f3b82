/** Orders, tickets and doors, by the names of docs/API.md. */
import type { Money } from './types';

export interface CheckoutAnswer {
  orderId: string;
  status: OrderStatus;
  total: Money;
  /** The provider's page; absent when nothing is to be paid any more. */
  redirectUrl?: string;
  payUntil: string;
  remainingSeconds: number;
}

export type OrderStatus =
  | 'awaiting_payment'
  | 'expiring'
  | 'paid'
  | 'fulfilled'
  | 'partially_refunded'
  | 'refunded'
  | 'expired'
  | 'cancelled';

export type PaymentStatus =
  | 'creating'
  | 'open'
  | 'authorized'
  | 'captured'
  | 'declined'
  | 'expired'
  | 'failed'
  | 'reversed';

export type ItemStatus = 'held' | 'sold' | 'released' | 'refunding' | 'refunded';

export interface OrderItem {
  id: string;
  bookingId: string | number;
  eventId: number;
  eventName: string;
  place: string;
  tier: string;
  price: Money;
  status: ItemStatus;
}

export interface Order {
  id: string;
  status: OrderStatus;
  total: Money;
  createdAt: string;
  payUntil: string;
  remainingSeconds: number;
  paidAt?: string;
  paymentStatus?: PaymentStatus;
  redirectUrl?: string;
  items: OrderItem[];
}

export type TicketStatus = 'valid' | 'used' | 'expired' | 'cancelled';

export interface Ticket {
  id: string;
  number: string;
  status: TicketStatus;
  orderId: string;
  eventId: number;
  eventName: string;
  artists: string[];
  venue: { name: string; city: string; timeZone: string };
  startsAt: string;
  place: string;
  tier: string;
  price: Money;
  holder: string;
  issuedAt: string;
  usedAt?: string;
  gate?: string;
  cancelledAt?: string;
}

/** What is shown at a door: the text of a QR code, or a number that was read out. */
export type Scan = { eventId: number; gate: string } & ({ code: string } | { number: string });

export interface CheckedIn {
  ticketId: string;
  number: string;
  eventId: number;
  place: string;
  tier: string;
  holder: string;
  gate: string;
  usedAt: string;
}
