/** Tells, wherever the person is, that held seats ran out or were released. */
import { t } from '../i18n/index.svelte';
import { live } from '../live';
import type { HoldMessage } from '../live/messages';
import { notify } from './notices.svelte';

type Listener = (message: HoldMessage) => void;

const listeners = new Set<Listener>();
/** Names of events whose seats are in the cart, as the cart last saw them. */
const names = new Map<number, string>();
/** Releases made on this page: what the person did needs no news. */
const own = new Set<string>();

export function rememberEventName(eventId: number, name: string): void {
  names.set(eventId, name);
}

export function expectRelease(bookingId: string | number): void {
  own.add(String(bookingId));
  setTimeout(() => own.delete(String(bookingId)), 5_000);
}

export function onHold(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function watchHolds(): () => void {
  return live.listen((message) => {
    if (message.type !== 'expired' && message.type !== 'released') return;
    const event = names.get(message.eventId) ?? `#${message.eventId}`;
    if (message.type === 'expired') notify('bad', t('cart.expired', { event }));
    else if (!own.has(String(message.bookingId))) notify('info', t('cart.released', { event }));
    for (const listener of listeners) listener(message);
  });
}
