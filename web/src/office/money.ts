/** Prices as people write them, to minor units and back. */
import type { Money } from '../api/types';
import { minorDigits } from '../i18n/format';

/** "12", "12.5" and "12,50" are read; null for anything else, and for more digits than the currency has. */
export function parsePrice(text: string, currency: string): Money | null {
  const digits = minorDigits(currency);
  const found = /^(\d{1,9})(?:[.,](\d{1,3}))?$/.exec(text.trim().replace(/[\s\u00a0]/g, ''));
  if (found === null || !/^[A-Z]{3}$/.test(currency)) return null;
  const [, whole = '0', rest = ''] = found;
  if (rest.length > digits) return null;
  return { amount: Number(whole) * 10 ** digits + Number(rest.padEnd(digits, '0') || '0'), currency };
}

export function priceText({ amount, currency }: Money): string {
  const digits = minorDigits(currency);
  const text = (amount / 10 ** digits).toFixed(digits);
  return digits > 0 && /\.0+$/.test(text) ? text.slice(0, -digits - 1) : text;
}
