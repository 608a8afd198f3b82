/** Tells, wherever the person is, that held seats ran out or were released. */
import { events } from '../api/client';
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

async function tell({ type, eventId }: HoldMessage): Promise<void> {
  const event = await nameOf(eventId);
  const link = { href: `/concerts/${eventId}`, text: t('queue.view') };
  if (type === 'expired') notify('bad', t('cart.expired', { event }), link);
  else notify('info', t('cart.released', { event }), link);
}

/** After a reload no page may have told the name yet. */
async function nameOf(eventId: number): Promise<string> {
  const known = names.get(eventId);
  if (known !== undefined) return known;
  const name = await events.get(eventId).then(
    (e) => e.name,
    () => `#${eventId}`,
  );
  names.set(eventId, name);
  return name;
}

export function watchHolds(): () => void {
  return live.listen((message) => {
    if (message.type !== 'expired' && message.type !== 'released') return;
    if (message.type === 'expired' || !own.has(String(message.bookingId))) void tell(message);
    for (const listener of listeners) listener(message);
  });
}
