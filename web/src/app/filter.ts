/** Which events are looked for, as it stands in the address: pure. */
import { query } from '../api/query';

export interface EventFilter {
  q: string;
  city: string;
  genre: string;
  artist: string;
  /** Days, such as 2026-11-20; both count. */
  from: string;
  to: string;
  isPast: boolean;
}

export const NO_FILTER: EventFilter = { q: '', city: '', genre: '', artist: '', from: '', to: '', isPast: false };

const MAX_TEXT = 200;

export function readFilter(search: string): EventFilter {
  const params = new URLSearchParams(search);
  const text = (name: string): string => (params.get(name) ?? '').trim().slice(0, MAX_TEXT);
  const day = (name: string): string => (/^\d{4}-\d\d-\d\d$/.test(text(name)) ? text(name) : '');
  return {
    q: text('q'), city: text('city'), genre: text('genre'), artist: text('artist'),
    from: day('from'), to: day('to'), isPast: params.get('past') === '1',
  };
}

export function filterPath(filter: EventFilter): string {
  const { isPast, ...texts } = filter;
  const trimmed = Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, value.trim()]));
  return `/concerts${query({ ...trimmed, past: isPast ? '1' : '' })}`;
}

/** Words are searched for on their own: the server has no other condition beside them. */
export function isNarrowed(filter: EventFilter): boolean {
  const { city, genre, artist, from, to } = filter;
  return [city, genre, artist, from, to].some((value) => value !== '');
}
