/** What the sign-in form holds, and what is wrong with it: pure. */
import { isEmail, isLogin, isPhone } from '../account/code';
import type { Language } from '../api/person';
import type { Registration } from '../api/types';

export const MIN_PASSWORD = 8;
export const MAX_PASSWORD = 128;
const MAX_TEXT = 100;

export interface Credentials {
  firstName: string;
  lastName: string;
  email: string;
  phone: string;
  login: string;
  password: string;
  consent: boolean;
}

export type FieldName = keyof Credentials;
export type Flaw = 'required' | 'long' | 'email' | 'phone' | 'login' | 'password' | 'consent';
export type Flaws = Partial<Record<FieldName, Flaw>>;

export const BLANK: Credentials = {
  firstName: '', lastName: '', email: '', phone: '', login: '', password: '', consent: false,
};

export function flawsOf(form: Credentials, isNew: boolean): Flaws {
  return isNew ? flawsOfNew(form) : missing(form, ['login', 'password']);
}

function missing(form: Credentials, needed: FieldName[]): Flaws {
  return Object.fromEntries(needed.filter((name) => String(form[name]).trim() === '').map((name) => [name, 'required']));
}

function flawsOfNew(form: Credentials): Flaws {
  const flaws = missing(form, ['firstName', 'lastName', 'phone', 'email', 'login', 'password']);
  const add = (name: FieldName, flaw: Flaw, isBad: boolean): void => {
    if (isBad) flaws[name] ??= flaw;
  };
  for (const name of ['firstName', 'lastName', 'email', 'login'] as const) add(name, 'long', form[name].trim().length > MAX_TEXT);
  // The server decides what is taken; this catches slips of the finger.
  add('phone', 'phone', !isPhone(form.phone.trim()));
  add('email', 'email', !isEmail(form.email.trim()));
  add('login', 'login', !isLogin(form.login.trim()));
  add('password', 'password', !isPassword(form.password));
  add('consent', 'consent', !form.consent);
  return flaws;
}

/** As long as the server takes it, counted as it counts: by characters, not by units of two bytes. */
export function isPassword(password: string): boolean {
  const { length } = [...password];
  return length >= MIN_PASSWORD && length <= MAX_PASSWORD;
}

export function toRegistration(form: Credentials, language: Language): Registration {
  return {
    lastName: form.lastName.trim(),
    firstName: form.firstName.trim(),
    phone: form.phone.trim(),
    email: form.email.trim(),
    login: form.login.trim(),
    password: form.password,
    language,
    consent: true,
  };
}
