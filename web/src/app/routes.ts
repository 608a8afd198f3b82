/** Addresses and what they show: pure. */

export type Route =
  | { page: 'concerts' }
  | { page: 'concert'; eventId: number }
  | { page: 'cart' }
  | { page: 'login'; next: string }
  | { page: 'operator' }
  | { page: 'notFound' };

export function matchRoute(pathname: string, search = ''): Route {
  const path = pathname.replace(/\/+$/, '') || '/';
  if (path === '/' || path === '/concerts') return { page: 'concerts' };
  if (path === '/cart') return { page: 'cart' };
  if (path === '/operator') return { page: 'operator' };
  if (path === '/login') return { page: 'login', next: safeNext(new URLSearchParams(search).get('next')) };
  const concert = /^\/concerts\/(\d{1,15})$/.exec(path);
  if (concert) return { page: 'concert', eventId: Number(concert[1]) };
  return { page: 'notFound' };
}

/** Where to go after signing in: a path of ours, never another site's. */
export function safeNext(next: string | null): string {
  if (next === null || !/^\/(?![/\\])/.test(next)) return '/concerts';
  return next.startsWith('/login') ? '/concerts' : next;
}

export function loginPath(from: string): string {
  return `/login?next=${encodeURIComponent(safeNext(from))}`;
}
