/** The calls of the pages for admins and operators. */
import { request } from './http';
import type {
  ApiKey, Artist, ArtistPatch, AuditFilter, AuditPage, EventPatch, LayoutRow, Minute, NewSeat, OfficeEvent, Refund,
  RefundStatus, Removed, Scope, SeenError, UserPage, Venue, VenuePatch,
} from './office.types';
import { query } from './query';
import type { Role } from './types';

const path = encodeURIComponent;
const base = '/api/admin';

export interface Part {
  page?: number;
  pageSize?: number;
  name?: string;
}

export const office = {
  events: (part: Part) => request<{ items: OfficeEvent[] }>('GET', `${base}/events${query(part)}`),
  event: (id: number) => request<OfficeEvent>('GET', `${base}/events/${id}`),
  createEvent: (body: EventPatch) => request<OfficeEvent>('POST', `${base}/events`, { body }),
  changeEvent: (id: number, body: Partial<EventPatch>) => request<OfficeEvent>('PATCH', `${base}/events/${id}`, { body }),
  cancelEvent: (id: number) => request<OfficeEvent>('POST', `${base}/events/${id}/cancel`),
  deleteEvent: (id: number) => request<void>('DELETE', `${base}/events/${id}`),
  refundEvent: (id: number) => request<void>('POST', `${base}/events/${id}/refund`),
  addSeats: (id: number, seats: NewSeat[]) =>
    request<{ seatIds: number[] }>('POST', `${base}/events/${id}/seats`, { body: { seats } }),
  removeSeats: (id: number, seatIds: number[]) =>
    request<Removed>('POST', `${base}/events/${id}/seats/remove`, { body: { seatIds } }),
  resizeArea: (id: number, areaId: number, capacity: number) =>
    request<Removed>('PATCH', `${base}/events/${id}/areas/${areaId}`, { body: { capacity } }),

  artists: (part: Part) => request<{ items: Artist[] }>('GET', `${base}/artists${query(part)}`),
  artist: (id: number) => request<Artist>('GET', `${base}/artists/${id}`),
  createArtist: (body: ArtistPatch) => request<Artist>('POST', `${base}/artists`, { body }),
  changeArtist: (id: number, body: ArtistPatch) => request<Artist>('PATCH', `${base}/artists/${id}`, { body }),
  deleteArtist: (id: number) => request<void>('DELETE', `${base}/artists/${id}`),

  venues: (part: Part) => request<{ items: Venue[] }>('GET', `${base}/venues${query(part)}`),
  venue: (id: number) => request<Venue>('GET', `${base}/venues/${id}`),
  createVenue: (body: VenuePatch) => request<Venue>('POST', `${base}/venues`, { body }),
  changeVenue: (id: number, body: VenuePatch) => request<Venue>('PATCH', `${base}/venues/${id}`, { body }),
  deleteVenue: (id: number) => request<void>('DELETE', `${base}/venues/${id}`),

  layouts: (venueId?: number) => request<{ items: LayoutRow[] }>('GET', `${base}/layouts${query({ venueId })}`),
  importLayout: (venueId: number, name: string, file: LayoutFile) =>
    request<LayoutRow>('POST', `${base}/layouts${query({ venueId, name })}`, { raw: file }),
  replacePlaces: (id: number, file: LayoutFile) => request<LayoutRow>('PUT', `${base}/layouts/${id}/places`, { raw: file }),
  deleteLayout: (id: number) => request<void>('DELETE', `${base}/layouts/${id}`),

  users: (wanted: { q?: string; role?: Role | ''; after?: number }) =>
    request<UserPage>('GET', `${base}/users${query(wanted)}`),
  changeRole: (id: number, role: Role) => request<void>('PATCH', `${base}/users/${id}`, { body: { role } }),

  keys: () => request<{ items: ApiKey[] }>('GET', `${base}/api-keys`),
  makeKey: (body: { name: string; scopes: Scope[]; expiresInDays?: number }) =>
    request<ApiKey & { key: string }>('POST', `${base}/api-keys`, { body }),
  revokeKey: (id: string) => request<void>('DELETE', `${base}/api-keys/${path(id)}`),

  audit: (filter: Partial<AuditFilter>, cursor?: string) =>
    request<AuditPage>('GET', `${base}/audit${query({ ...filter, cursor })}`),
  errors: () => request<{ items: SeenError[] }>('GET', `${base}/errors`),
  activity: (minutes: number) => request<{ items: Minute[] }>('GET', `${base}/activity${query({ minutes })}`),

  refunds: (status: RefundStatus | '') => request<{ items: Refund[] }>('GET', `${base}/refunds${query({ status, limit: 200 })}`),
  retryRefund: (id: string) => request<void>('POST', `${base}/refunds/${path(id)}/retry`),
  refundOrder: (id: string) => request<void>('POST', `${base}/orders/${path(id)}/refund`, { body: {} }),
};

/** A file as it is sent: its kind is told, never guessed by the browser. */
export interface LayoutFile {
  type: 'application/json' | 'text/csv';
  data: Blob;
}
