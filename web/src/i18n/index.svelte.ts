/** The language in use. Everything here is reactive: a switch redraws the page, nothing reloads. */
import type { Money, WaitRange } from '../api/types';
import { en } from './en';
import { dateParts, formatDate, formatDuration, formatMoney, formatNumber, waitEnds } from './format';
import { type Locale, pickLocale, regionOf } from './locale';
import { plural, type PluralKey } from './plurals';
import { ru } from './ru';
import { fill, type TextArgs, type TextKey, type Texts } from './texts';
import { uk } from './uk';

const KEY = 'usher.language';
const ALL: Record<Locale, Texts> = { en, uk, ru };

const stored = ((): string | null => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
})();

const first = pickLocale(stored, navigator.languages);
let current = $state<Locale>(first);
document.documentElement.lang = first;

/** The region's habits (a 24-hour clock in en-GB, say), where the browser names one for this language. */
const regional = $derived(regionOf(current, navigator.languages));

export function locale(): Locale {
  return current;
}

export function setLocale(next: Locale): void {
  current = next;
  document.documentElement.lang = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

export function t<K extends TextKey>(key: K, ...args: TextArgs<K>): string {
  return fill(ALL[current][key], args[0]);
}

export const tn = (key: PluralKey, n: number): string => plural(current, key, n);
export const money = (value: Money): string =>
  value.amount === 0 ? t('concerts.free') : formatMoney(regional, value);
export const number = (value: number): string => formatNumber(regional, value);
export const duration = (seconds: number): string => formatDuration(regional, seconds);
export const date = (iso: string, style: 'short' | 'long' = 'short', timeZone?: string): string =>
  formatDate(regional, iso, style, timeZone);
export const day = (iso: string, timeZone?: string): { day: string; month: string } =>
  dateParts(regional, iso, timeZone);
/** A wait as words: one figure, or a range where its ends differ. */
export function wait(range: WaitRange): string {
  if (range.max < 5) return t('queue.waitMoment');
  const ends = waitEnds(regional, range);
  return 'both' in ends ? t('queue.wait', { time: ends.both }) : t('queue.waitRange', ends);
}
