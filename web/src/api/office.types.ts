/** What admins and operators see, by the names of docs/API.md. */
import type { Money, Role } from './types';

export interface Artist {
  id: number;
  name: string;
  genre: string | null;
  occupation: string | null;
  biography: string | null;
  works: string[];
}

export type ArtistPatch = Partial<Omit<Artist, 'id'>>;

export interface Venue {
  id: number;
  name: string;
  city: string;
  address: string | null;
}

export type VenuePatch = Partial<Omit<Venue, 'id'>>;

export interface LayoutRow {
  id: number;
  venueId: number;
  name: string;
  seats: number;
  places: number;
  tiers: string[];
  updatedAt: string;
}

export type WarningCode = 'sale_opens_late' | 'sale_closes_late' | 'has_begun' | 'no_places';

export interface OfficeEvent {
  id: number;
  venueId: number;
  name: string;
  description: string;
  artistIds: number[];
  startsAt: string;
  endsAt: string | null;
  salesOpenAt: string;
  salesCloseAt: string;
  seatLimit: number;
  holdSeconds: number;
  oneBookingEach: boolean;
  refundUntilHours: number | null;
  status: 'scheduled' | 'cancelled';
  totalSeats: number;
  tiers: { id: number; name: string; price: Money }[];
  warnings: { code: WarningCode; detail: string }[];
}

export interface EventPatch {
  venueId: number;
  name: string;
  description: string | null;
  artistIds: number[];
  startsAt: string;
  endsAt: string | null;
  salesOpenAt: string;
  salesCloseAt: string;
  seatLimit: number;
  holdSeconds: number;
  oneBookingEach: boolean;
  refundUntilHours: number | null;
  tiers: { name: string; price: Money }[];
  layoutId?: number;
}

export interface NewSeat {
  section: string;
  row: string;
  label: string;
  tier: string;
}

/** How many places that were removed somebody had. */
export interface Removed {
  held: number;
  sold: number;
  /** Still somebody's, and taken away within minutes; absent when there are none. */
  left?: number;
}

export interface OfficeUser {
  userId: number;
  email: string;
  login?: string;
  phone?: string;
  firstName: string;
  lastName: string;
  role: Role;
  service: boolean;
  createdAt: string;
  erasedAt?: string;
}

export interface UserPage {
  items: OfficeUser[];
  next?: number;
}

export const SCOPES = ['read', 'book', 'users', 'scan', 'operate', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export interface ApiKey {
  id: string;
  name: string;
  serviceId: number;
  scopes: Scope[];
  createdAt: string;
  expiresAt?: string;
  lastUsedAt?: string;
  revokedAt?: string;
}

export interface AuditLine {
  id: number;
  at: string;
  ip?: string | null;
  userId?: number | null;
  action: string;
  object: string;
  result: string;
}

export interface AuditPage {
  items: AuditLine[];
  next?: string;
}

export interface AuditFilter {
  from: string;
  to: string;
  userId: string;
  ip: string;
  action: string;
  object: string;
  result: string;
}

export interface SeenError {
  process: string;
  code: string;
  count: number;
  firstSeen: string;
  lastSeen: string;
  requestId?: string;
}

export interface Minute {
  at: string;
  registrations: number;
  logins: number;
  bookings: number;
  refusals: number;
  orders: number;
}

export type RefundStatus = 'pending' | 'completed' | 'failed';

export interface Refund {
  id: string;
  orderId: string;
  paymentId: string;
  amount: Money;
  reason: string;
  status: RefundStatus;
  attempts: number;
  error?: string;
  createdAt: string;
  finishedAt?: string;
}
