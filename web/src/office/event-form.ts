/** What an admin writes of an event, and what is sent of it: pure. */
import type { EventPatch, OfficeEvent } from '../api/office.types';
import { parsePrice, priceText } from './money';
import { fromLocal, toLocal } from './times';

export interface TierForm {
  name: string;
  price: string;
}

export interface EventForm {
  name: string;
  description: string;
  venueId: number | null;
  artistIds: number[];
  startsAt: string;
  endsAt: string;
  salesOpenAt: string;
  salesCloseAt: string;
  seatLimit: string;
  holdSeconds: string;
  oneBookingEach: boolean;
  /** Blank: tickets are never taken back. */
  refundUntilHours: string;
  currency: string;
  tiers: TierForm[];
  layoutId: number | null;
}

export const NEW_EVENT: EventForm = {
  name: '', description: '', venueId: null, artistIds: [], startsAt: '', endsAt: '', salesOpenAt: '', salesCloseAt: '',
  seatLimit: '6', holdSeconds: '900', oneBookingEach: false, refundUntilHours: '24', currency: 'EUR', tiers: [],
  layoutId: null,
};

export type EventField = keyof EventForm;
export type EventFlaw = 'required' | 'number' | 'order' | 'price';
export type EventFlaws = Partial<Record<EventField, EventFlaw>>;

export function formOf(event: OfficeEvent): EventForm {
  return {
    name: event.name,
    description: event.description,
    venueId: event.venueId,
    artistIds: event.artistIds,
    startsAt: toLocal(event.startsAt),
    endsAt: toLocal(event.endsAt),
    salesOpenAt: toLocal(event.salesOpenAt),
    salesCloseAt: toLocal(event.salesCloseAt),
    seatLimit: String(event.seatLimit),
    holdSeconds: String(event.holdSeconds),
    oneBookingEach: event.oneBookingEach,
    refundUntilHours: event.refundUntilHours === null ? '' : String(event.refundUntilHours),
    currency: event.tiers[0]?.price.currency ?? NEW_EVENT.currency,
    tiers: event.tiers.map(({ name, price }) => ({ name, price: priceText(price) })),
    layoutId: null,
  };
}

const isWithin = (text: string, min: number, max: number): boolean =>
  /^\d{1,6}$/.test(text.trim()) && Number(text) >= min && Number(text) <= max;

export function flawsOfEvent(form: EventForm): EventFlaws {
  const flaws: EventFlaws = {};
  if (form.name.trim() === '') flaws.name = 'required';
  if (form.venueId === null) flaws.venueId = 'required';
  for (const name of ['startsAt', 'salesOpenAt', 'salesCloseAt'] as const) {
    if (fromLocal(form[name]) === null) flaws[name] = 'required';
  }
  if (form.endsAt !== '' && form.endsAt <= form.startsAt) flaws.endsAt = 'order';
  if (flaws.salesCloseAt === undefined && form.salesCloseAt <= form.salesOpenAt) flaws.salesCloseAt = 'order';
  if (!isWithin(form.seatLimit, 1, 100)) flaws.seatLimit = 'number';
  if (!isWithin(form.holdSeconds, 1, 86_400)) flaws.holdSeconds = 'number';
  if (form.refundUntilHours.trim() !== '' && !isWithin(form.refundUntilHours, 0, 100_000)) flaws.refundUntilHours = 'number';
  if (form.tiers.some((tier) => tier.name.trim() === '' || parsePrice(tier.price, form.currency) === null)) flaws.tiers = 'price';
  return flaws;
}

/** All of it as it is sent; null while something is wrong. */
export function patchOf(form: EventForm): EventPatch | null {
  const [startsAt, salesOpenAt, salesCloseAt] = [form.startsAt, form.salesOpenAt, form.salesCloseAt].map(fromLocal);
  if (Object.keys(flawsOfEvent(form)).length > 0 || form.venueId === null || !startsAt || !salesOpenAt || !salesCloseAt) return null;
  return {
    venueId: form.venueId,
    name: form.name.trim(),
    description: form.description.trim() === '' ? null : form.description.trim(),
    artistIds: form.artistIds,
    startsAt,
    endsAt: fromLocal(form.endsAt),
    salesOpenAt,
    salesCloseAt,
    seatLimit: Number(form.seatLimit),
    holdSeconds: Number(form.holdSeconds),
    oneBookingEach: form.oneBookingEach,
    refundUntilHours: form.refundUntilHours.trim() === '' ? null : Number(form.refundUntilHours),
    tiers: form.tiers.flatMap(({ name, price }) => {
      const read = parsePrice(price, form.currency);
      return read === null ? [] : [{ name: name.trim(), price: read }];
    }),
    ...(form.layoutId === null ? {} : { layoutId: form.layoutId }),
  };
}

/** Only what differs: what somebody else has changed meanwhile stays. */
export function changesOf(before: EventPatch, after: EventPatch): Partial<EventPatch> {
  const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  const entries = Object.entries(after).filter(([name, value]) => !isSame(value, before[name as keyof EventPatch]));
  return Object.fromEntries(entries);
}

/** A layout's prices: those written already are kept, the others wait for theirs. */
export function tiersFor(layoutTiers: readonly string[], known: readonly TierForm[]): TierForm[] {
  return layoutTiers.map((name) => ({ name, price: known.find((tier) => tier.name === name)?.price ?? '' }));
}
