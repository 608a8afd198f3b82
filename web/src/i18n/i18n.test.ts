import { describe, expect, it } from 'vitest';
import { en } from './en';
import { dateParts, formatClock, formatDate, formatDuration, formatMoney, minorDigits, waitEnds } from './format';
import { pickLocale, regionOf } from './locale';
import { plural } from './plurals';
import { ru } from './ru';
import { fill, type TextKey } from './texts';
import { uk } from './uk';

const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? '').sort();

describe.each([['uk', uk], ['ru', ru]] as const)('texts in %s', (_, texts) => {
  it('hold the same placeholders as the English ones', () => {
    for (const key of Object.keys(en) as TextKey[]) expect([key, names(texts[key])]).toEqual([key, names(en[key])]);
  });

  it('are translated', () => {
    for (const key of Object.keys(en) as TextKey[]) {
      if (/[a-z]{3}/i.test(en[key].replace(/\{\w+\}/g, ''))) expect(texts[key], key).not.toBe(en[key]);
    }
  });
});

describe('words', () => {
  it('are filled in', () => {
    expect(fill('{a} of {b}', { a: 1, b: 'two' })).toBe('1 of two');
    expect(fill('{a}', {})).toBe('{a}');
  });

  it('follow their number', () => {
    expect([1, 2, 5, 21, 11].map((n) => plural('uk', 'seats', n))).toEqual([
      '1 місце', '2 місця', '5 місць', '21 місце', '11 місць',
    ]);
    expect(plural('ru', 'ahead', 3)).toBe('Впереди 3 человека');
    expect(plural('en', 'seats', 1)).toBe('1 seat');
  });
});

describe('the language', () => {
  it('is the chosen one, else the browser’s, else English', () => {
    expect(pickLocale('ru', ['uk-UA'])).toBe('ru');
    expect(pickLocale('xx', ['de', 'uk-UA', 'en'])).toBe('uk');
    expect(pickLocale(null, ['de'])).toBe('en');
    expect(regionOf('en', ['uk', 'en-GB'])).toBe('en-GB');
    expect(regionOf('ru', ['en-GB'])).toBe('ru');
  });
});

describe('figures', () => {
  it('of money follow the currency’s own minor unit', () => {
    expect([minorDigits('EUR'), minorDigits('JPY'), minorDigits('KWD')]).toEqual([2, 0, 3]);
    expect(formatMoney('en', { amount: 129_050, currency: 'EUR' })).toBe('€1,290.50');
    expect(formatMoney('en', { amount: 59_000, currency: 'EUR' })).toBe('€590');
    expect(formatMoney('en', { amount: 500, currency: 'JPY' })).toBe('¥500');
  });

  it('of time are as exact as is useful', () => {
    expect(formatDuration('en', 42)).toBe('42 sec');
    expect(formatDuration('en', 200)).toBe('3 min');
    expect(formatDuration('en', 3_900)).toBe('1 hr 5 min');
    expect(formatDuration('en', 7_190)).toBe('2 hr');
    expect(waitEnds('en', { min: 60, max: 70 })).toEqual({ both: '1 min' });
    expect([formatClock(245), formatClock(3_845), formatClock(0.2), formatClock(-4)]).toEqual([
      '4:05', '1:04:05', '0:01', '0:00',
    ]);
  });

  it('of a day are those on the wall of the venue', () => {
    const late = '2026-12-20T22:30:00Z';
    expect([dateParts('en', late, 'Europe/Kyiv'), dateParts('en', late, 'America/New_York')]).toEqual([
      { day: '21', month: 'Dec' }, { day: '20', month: 'Dec' },
    ]);
    expect(formatDate('en-GB', late, 'short', 'Europe/Kyiv')).toContain('00:30');
    expect(formatDate('en-GB', late, 'short', 'Nowhere/Atall')).toBe(formatDate('en-GB', late, 'short'));
  });
});
