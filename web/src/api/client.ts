/** Every call that the pages make, typed. */
import type { EventFilter } from '../app/filter';
import { request, send } from './http';
import type {
  ChangeSent, ContactField, History, Language, Profile, SecondFactorBegun, SecondFactorConfirmed,
} from './person';
import type { CheckedIn, CheckoutAnswer, Order, Scan, Ticket } from './purchase';
import { query } from './query';
import type {
  Accepted, Booking, BookRequest, Cart, EventCard, EventDetail, Lane, LoggedIn, Me, Page, QueueStats, Registration,
  SeatMapDoc, Status,
} from './types';

const path = encodeURIComponent;

export const auth = {
  me: () => request<Me>('GET', '/api/auth/me'),
  register: (who: Registration) => request<{ userId: string }>('POST', '/api/auth/register', { body: who }),
  login: (login: string, password: string, code?: string) =>
    request<LoggedIn>('POST', '/api/auth/login', { body: { login, password, ...(code ? { code } : {}) } }),
  logout: () => request<void>('POST', '/api/auth/logout'),
  logoutEverywhere: () => request<void>('POST', '/api/auth/logout-everywhere'),
  requestReset: (login: string) => request<unknown>('POST', '/api/auth/password/reset', { body: { login } }),
  confirmReset: (login: string, code: string, newPassword: string) =>
    request<void>('POST', '/api/auth/password/reset/confirm', { body: { login, code, newPassword } }),
};

export const events = {
  list: (page: number, pageSize = 20) =>
    request<Page<EventCard>>('GET', `/api/events?page=${page}&pageSize=${pageSize}`),
  /** Words are searched by themselves; without words, what is to come or has been, by its particulars. */
  find: ({ q, isPast, ...rest }: EventFilter, page: number, pageSize = 20) => {
    const archive = isPast ? true : undefined;
    if (q !== '') return request<Page<EventCard>>('GET', `/api/events/search${query({ q, archive, page, pageSize })}`);
    const { from: date_from, to: date_to, ...others } = rest;
    const folder = isPast ? '/api/events/archive' : '/api/events';
    return request<Page<EventCard>>('GET', `${folder}${query({ ...others, date_from, date_to, page, pageSize })}`);
  },
  /** What has begun, latest first. */
  archive: (pageSize: number) => request<Page<EventCard>>('GET', `/api/events/archive${query({ page: 1, pageSize })}`),
  get: (id: number) => request<EventDetail>('GET', `/api/events/${id}`),
  /** The browser may keep the layout; `isStale` asks the server whether it still holds. */
  seatMap: (id: number, isStale = false) =>
    request<SeatMapDoc>('GET', `/api/events/${id}/seatmap`, isStale ? { cache: 'no-cache' } : {}),
  availability: async (id: number): Promise<ArrayBuffer> => {
    const headers = { Accept: 'application/octet-stream' };
    return (await send('GET', `/api/events/${id}/availability`, { headers })).arrayBuffer();
  },
};

export const line = {
  book: (eventId: number, body: BookRequest, idempotencyKey: string) =>
    request<Accepted>('POST', `/api/bookings/${eventId}/book`, {
      body,
      headers: { 'Idempotency-Key': idempotencyKey },
    }),
  status: (jobId: string) => request<Status>('GET', `/api/bookings/status/${path(jobId)}`),
  leave: (jobId: string) => request<Status>('DELETE', `/api/bookings/queue/${path(jobId)}`),
};

export const cart = {
  /** The latest bookings, whatever became of them. */
  bookings: () => request<{ items: Booking[] }>('GET', '/api/bookings'),
  get: () => request<Cart>('GET', '/api/cart'),
  removeSeat: (seatId: number) => request<Cart>('DELETE', `/api/cart/seats/${seatId}`),
  removeSlot: (areaId: number, slot: number) => request<Cart>('DELETE', `/api/cart/areas/${areaId}/slots/${slot}`),
  cancel: (bookingId: string | number) => request<Booking>('PATCH', '/api/bookings/cancel', { body: { bookingId } }),
};

export const orders = {
  checkout: () => request<CheckoutAnswer>('POST', '/api/cart/checkout'),
  /** One booking by itself; of one that is being paid for already, the page on which that goes on. */
  checkoutBooking: (bookingId: string | number) =>
    request<CheckoutAnswer>('PATCH', '/api/bookings/initiatePayment', { body: { bookingId } }),
  get: (id: string) => request<Order>('GET', `/api/orders/${path(id)}`),
  pay: (id: string) => request<CheckoutAnswer>('POST', `/api/orders/${path(id)}/pay`),
  cancel: (id: string) => request<Order>('POST', `/api/orders/${path(id)}/cancel`),
  refund: (id: string, itemIds: string[]) => request<Order>('POST', `/api/orders/${path(id)}/refund`, { body: { itemIds } }),
};

export const tickets = {
  list: (page: number, pageSize = 20) => request<Page<Ticket>>('GET', `/api/tickets${query({ page, pageSize })}`),
  get: (id: string) => request<Ticket>('GET', `/api/tickets/${path(id)}`),
  qrPath: (id: string) => `/api/tickets/${path(id)}/qr`,
  pdfPath: (id: string, format: 'a4' | 'phone', language: Language) =>
    `/api/tickets/${path(id)}/pdf${query({ format, language })}`,
  calendarPath: (id: string, language: Language) => `/api/tickets/${path(id)}/calendar${query({ language })}`,
};

export const door = {
  checkIn: (scan: Scan) => request<CheckedIn>('POST', '/api/checkin', { body: scan }),
};

export const account = {
  get: () => request<Profile>('GET', '/api/account'),
  edit: (body: { firstName?: string; lastName?: string; language?: Language; smsUpdates?: boolean }) =>
    request<Profile>('PATCH', '/api/account', { body }),
  requestChange: (field: ContactField, value: string, password: string) =>
    request<ChangeSent>('POST', '/api/account/changes', { body: { field, value, password } }),
  confirmChange: (changeId: string, code: string) =>
    request<Profile>('POST', `/api/account/changes/${path(changeId)}/confirm`, { body: { code } }),
  requestVerification: () => request<{ expiresAt: string }>('POST', '/api/account/verification'),
  confirmVerification: (code: string) =>
    request<Profile>('POST', '/api/account/verification/confirm', { body: { code } }),
  changePassword: (currentPassword: string, newPassword: string) =>
    request<LoggedIn>('POST', '/api/account/password', { body: { currentPassword, newPassword } }),
  beginSecondFactor: (password: string) =>
    request<SecondFactorBegun>('POST', '/api/account/second-factor', { body: { password } }),
  confirmSecondFactor: (code: string) =>
    request<SecondFactorConfirmed>('POST', '/api/account/second-factor/confirm', { body: { code } }),
  disableSecondFactor: (code: string) => request<void>('POST', '/api/account/second-factor/disable', { body: { code } }),
  history: (page: number) => request<History>('GET', `/api/account/history${query({ page, pageSize: 20 })}`),
  exportPath: '/api/account/export',
  erase: (password: string, code?: string) =>
    request<void>('DELETE', '/api/account', { body: { password, ...(code ? { code } : {}) } }),
};

export const operator = {
  stats: () => request<QueueStats>('GET', '/api/admin/queue/stats'),
  lanes: () => request<{ lanes: Lane[]; total: number }>('GET', '/api/admin/queue/details'),
  pause: (body: { eventId?: number; message?: string }) =>
    request<{ paused: boolean }>('POST', '/api/admin/queue/pause', { body }),
  resume: (body: { eventId?: number; message?: string }) => request<unknown>('POST', '/api/admin/queue/resume', { body }),
};
