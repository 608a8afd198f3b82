/** Addresses and what they show: pure. */
import { type EventFilter, readFilter } from './filter';

export const OFFICE_PAGES = ['events', 'artists', 'venues', 'users', 'keys', 'audit', 'health', 'refunds'] as const;
export type OfficePage = (typeof OFFICE_PAGES)[number];

/** How somebody came to an order: from the provider's page, or by themselves. */
export type Came = 'success' | 'fail' | 'here';

export type Route =
  | { page: 'concerts'; filter: EventFilter }
  | { page: 'concert'; eventId: number }
  | { page: 'cart' }
  | { page: 'login'; next: string }
  | { page: 'password' }
  | { page: 'order'; orderId: string; came: Came }
  | { page: 'orders' }
  | { page: 'tickets' }
  | { page: 'ticket'; ticketId: string }
  | { page: 'account' }
  | { page: 'operator' }
  | { page: 'office'; part: OfficePage; id: number | 'new' | null }
  | { page: 'scan' }
  | { page: 'notFound' };

const SINGLE: Record<string, Route> = {
  '/cart': { page: 'cart' },
  '/operator': { page: 'operator' },
  '/password': { page: 'password' },
  '/orders': { page: 'orders' },
  '/tickets': { page: 'tickets' },
  '/account': { page: 'account' },
  '/scan': { page: 'scan' },
  '/admin': { page: 'office', part: 'events', id: null },
};

const ID = /^[\w-]{1,64}$/;

export function matchRoute(pathname: string, search = ''): Route {
  const path = pathname.replace(/\/+$/, '') || '/';
  if (path === '/' || path === '/concerts') return { page: 'concerts', filter: readFilter(search) };
  if (path === '/login') return { page: 'login', next: safeNext(new URLSearchParams(search).get('next')) };
  return SINGLE[path] ?? matchParts(path.slice(1).split('/'), search) ?? { page: 'notFound' };
}

function matchParts([folder, name = '', id, ...more]: string[], search: string): Route | null {
  if (folder === 'admin') return more.length === 0 ? matchOffice(name, id) : null;
  if (id !== undefined || !ID.test(name)) return null;
  if (folder === 'concerts' && /^\d{1,15}$/.test(name)) return { page: 'concert', eventId: Number(name) };
  if (folder === 'orders') return { page: 'order', orderId: name, came: 'here' };
  if (folder === 'tickets') return { page: 'ticket', ticketId: name };
  if (folder !== 'checkout' || (name !== 'success' && name !== 'fail')) return null;
  const orderId = new URLSearchParams(search).get('order') ?? '';
  return ID.test(orderId) ? { page: 'order', orderId, came: name } : null;
}

function matchOffice(name: string, id: string | undefined): Route | null {
  const part = OFFICE_PAGES.find((p) => p === name);
  if (part === undefined) return null;
  if (id === undefined || id === 'new') return { page: 'office', part, id: id ?? null };
  return /^\d{1,15}$/.test(id) ? { page: 'office', part, id: Number(id) } : null;
}

/** What stays the same while somebody only narrows down what a page shows. */
export function placeKey(at: Route): string {
  return at.page === 'concerts' ? at.page : JSON.stringify(at);
}

/** Where to go after signing in: a path of ours, never another site's. */
export function safeNext(next: string | null): string {
  if (next === null || !/^\/(?![/\\])/.test(next)) return '/concerts';
  return /^\/(login|password)\b/.test(next) ? '/concerts' : next;
}

export function loginPath(from: string): string {
  return `/login?next=${encodeURIComponent(safeNext(from))}`;
}
