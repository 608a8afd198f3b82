/** One's account, by the names of docs/API.md. */
import type { ItemStatus, OrderStatus } from './purchase';
import type { Booking, LoggedIn, Money, Role } from './types';

export type Language = 'en' | 'uk' | 'ru';

export interface Profile {
  userId: string | number;
  email: string;
  /** A code that went there has come back. */
  emailVerified: boolean;
  login?: string;
  phone?: string;
  firstName: string;
  lastName: string;
  language: Language;
  /** SMS about bookings and orders go to the phone number. */
  smsUpdates: boolean;
  role: Role;
  consentAt?: string;
  consentVersion?: string;
  createdAt: string;
  secondFactor: boolean;
}

/** What changes only by a code that arrives elsewhere. */
export type ContactField = 'email' | 'phone' | 'login';

export interface ChangeSent {
  changeId: string;
  channel: 'email' | 'sms';
  expiresAt: string;
}

export interface SecondFactorBegun {
  secret: string;
  link: string;
}

export interface SecondFactorConfirmed {
  recoveryCodes: string[];
  session: LoggedIn;
}

export interface PastBooking {
  id: string | number;
  eventId: number;
  eventName: string;
  startsAt: string;
  status: Booking['status'];
  createdAt: string;
  closedAt?: string;
}

export interface PastOrder {
  id: string;
  status: OrderStatus;
  total: Money;
  createdAt: string;
  paidAt?: string;
  items: { id: string; eventId: number; place: string; tier: string; price: Money; status: ItemStatus; ticketId?: string }[];
}

export interface History {
  bookings: { items: PastBooking[]; total: number };
  orders: { items: PastOrder[]; total: number };
  page: number;
  pageSize: number;
}
