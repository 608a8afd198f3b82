/** Which languages there are, and which one to begin with. */

export const LOCALES = ['en', 'uk', 'ru'] as const;
export type Locale = (typeof LOCALES)[number];

export const LOCALE_NAMES: Record<Locale, string> = { en: 'English', uk: 'Українська', ru: 'Русский' };

export function isLocale(value: unknown): value is Locale {
  return LOCALES.some((locale) => locale === value);
}

/** What was chosen before wins, then the browser's own order of languages. */
export function pickLocale(stored: string | null, wanted: readonly string[]): Locale {
  if (isLocale(stored)) return stored;
  return wanted.map((tag) => tag.toLowerCase().split('-')[0]).find(isLocale) ?? 'en';
}

export function regionOf(locale: Locale, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.toLowerCase().startsWith(`${locale}-`)) ?? locale;
}
