/** Money, dates and durations in the shopper's language: pure over the locale. */
import type { Money, WaitRange } from '../api/types';

const NO_MINOR = new Set([
  'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF',
]);
const THREE_MINOR = new Set(['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND']);

/** ISO 4217's exponents: `Intl` knows only how many digits are customary on price tags. */
export function minorDigits(currency: string): number {
  if (NO_MINOR.has(currency)) return 0;
  return THREE_MINOR.has(currency) ? 3 : 2;
}

export function formatMoney(locale: string, { amount, currency }: Money): string {
  const digits = minorDigits(currency);
  const value = amount / 10 ** digits;
  const shown = Number.isInteger(value) ? 0 : digits;
  return new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: shown,
    maximumFractionDigits: shown,
  }).format(value);
}

export function formatNumber(locale: string, value: number): string {
  return new Intl.NumberFormat(locale).format(value);
}

/** In the device's time zone, or in one that is named: a door opens by the clock on its own wall. */
function inZone(locale: string, shown: Intl.DateTimeFormatOptions, timeZone: string | undefined): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat(locale, timeZone === undefined ? shown : { ...shown, timeZone });
  } catch {
    // A zone that this browser has not heard of yet.
    return new Intl.DateTimeFormat(locale, shown);
  }
}

export function formatDate(locale: string, iso: string, style: 'short' | 'long', timeZone?: string): string {
  const shown: Intl.DateTimeFormatOptions =
    style === 'long'
      ? { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', hour: '2-digit', minute: '2-digit' }
      : { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' };
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : inZone(locale, shown, timeZone).format(date);
}

export function dateParts(locale: string, iso: string, timeZone?: string): { day: string; month: string } {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return { day: '', month: '' };
  return {
    day: inZone('en', { day: 'numeric' }, timeZone).format(date),
    month: inZone(locale, { month: 'short' }, timeZone).format(date).replace('.', ''),
  };
}

/** "12 sec", "3 min", "1 hr 5 min": no more precise than anyone needs. */
export function formatDuration(locale: string, seconds: number): string {
  const unit = (value: number, name: 'second' | 'minute' | 'hour'): string =>
    new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: 'short' }).format(value);
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return unit(whole, 'second');
  if (whole < 3_600) return unit(Math.round(whole / 60), 'minute');
  const minutes = Math.round((whole % 3_600) / 60);
  const hours = Math.floor(whole / 3_600) + (minutes === 60 ? 1 : 0);
  return minutes % 60 === 0 ? unit(hours, 'hour') : `${unit(hours, 'hour')} ${unit(minutes, 'minute')}`;
}

/** Two ends that read the same are one figure. */
export function waitEnds(locale: string, range: WaitRange): { min: string; max: string } | { both: string } {
  const [min, max] = [formatDuration(locale, range.min), formatDuration(locale, range.max)];
  return min === max ? { both: max } : { min, max };
}

/** "4:05", "1:04:05". */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60), whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}
