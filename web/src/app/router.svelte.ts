/** The address bar, as state. */
import { loginPath, matchRoute, type Route } from './routes';

const read = (): Route => matchRoute(location.pathname, location.search);

let current = $state.raw<Route>(read());

export function route(): Route {
  return current;
}

export function go(path: string, options: { replace?: boolean; keepScroll?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  current = read();
  if (!options.keepScroll) window.scrollTo(0, 0);
}

export function goToLogin(): void {
  go(loginPath(location.pathname + location.search));
}

export function startRouter(): void {
  window.addEventListener('popstate', () => {
    current = read();
  });
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || link.target || link.origin !== location.origin) return;
    // The gateway's own pages (/docs, /api) are not of this app, nor are jumps within a page.
    if (link.hash !== '' || matchRoute(link.pathname).page === 'notFound') return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
