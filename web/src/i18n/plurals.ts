/** Words that follow a number. Ukrainian and Russian have four forms, and `Intl` knows which one is meant. */
import type { Locale } from './locale';

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };
export type PluralKey = 'seats' | 'places' | 'ahead';

export const PLURALS: Record<Locale, Record<PluralKey, Forms>> = {
  en: {
    seats: { one: '{n} seat', other: '{n} seats' },
    places: { one: '{n} place', other: '{n} places' },
    ahead: { one: '{n} person ahead of you', other: '{n} people ahead of you' },
  },
  uk: {
    seats: { one: '{n} місце', few: '{n} місця', many: '{n} місць', other: '{n} місця' },
    places: { one: '{n} місце', few: '{n} місця', many: '{n} місць', other: '{n} місця' },
    ahead: {
      one: 'Попереду {n} людина',
      few: 'Попереду {n} людини',
      many: 'Попереду {n} людей',
      other: 'Попереду {n} людини',
    },
  },
  ru: {
    seats: { one: '{n} место', few: '{n} места', many: '{n} мест', other: '{n} места' },
    places: { one: '{n} место', few: '{n} места', many: '{n} мест', other: '{n} места' },
    ahead: {
      one: 'Впереди {n} человек',
      few: 'Впереди {n} человека',
      many: 'Впереди {n} человек',
      other: 'Впереди {n} человека',
    },
  },
};

export function plural(locale: Locale, key: PluralKey, n: number): string {
  const forms = PLURALS[locale][key];
  const form = forms[new Intl.PluralRules(locale).select(n)] ?? forms.other;
  return form.replace('{n}', new Intl.NumberFormat(locale).format(n));
}
