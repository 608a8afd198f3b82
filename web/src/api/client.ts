/** Every call that the pages make, typed. */
import { request, send } from './http';
import type {
  Accepted, Booking, BookRequest, Cart, EventCard, EventDetail, Lane, LoggedIn, Me, Page, QueueStats, Registration,
  SeatMapDoc, Status,
} from './types';

const path = encodeURIComponent;

export const auth = {
  me: () => request<Me>('GET', '/api/auth/me'),
  register: (who: Registration) => request<{ userId: string }>('POST', '/api/auth/register', { body: who }),
  login: (login: string, password: string) =>
    request<LoggedIn>('POST', '/api/auth/login', { body: { login, password } }),
  logout: () => request<void>('POST', '/api/auth/logout'),
};

export const events = {
  list: (page: number, pageSize = 20) =>
    request<Page<EventCard>>('GET', `/api/events?page=${page}&pageSize=${pageSize}`),
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
  get: () => request<Cart>('GET', '/api/cart'),
  removeSeat: (seatId: number) => request<Cart>('DELETE', `/api/cart/seats/${seatId}`),
  removeSlot: (areaId: number, slot: number) => request<Cart>('DELETE', `/api/cart/areas/${areaId}/slots/${slot}`),
  cancel: (bookingId: string | number) => request<Booking>('PATCH', '/api/bookings/cancel', { body: { bookingId } }),
};

export const operator = {
  stats: () => request<QueueStats>('GET', '/api/admin/queue/stats'),
  lanes: () => request<{ lanes: Lane[] }>('GET', '/api/admin/queue/details'),
  pause: (body: { eventId?: number; message?: string }) =>
    request<{ paused: boolean }>('POST', '/api/admin/queue/pause', { body }),
  resume: (body: { eventId?: number }) => request<unknown>('POST', '/api/admin/queue/resume', { body }),
};
