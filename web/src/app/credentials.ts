/** What the sign-in form holds, and what is wrong with it: pure. */
import type { Registration } from '../api/types';

export const MIN_PASSWORD = 8;

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
export type Flaw = 'required' | 'email' | 'password' | 'consent';
export type Flaws = Partial<Record<FieldName, Flaw>>;

export const BLANK: Credentials = {
  firstName: '', lastName: '', email: '', phone: '', login: '', password: '', consent: false,
};

export function flawsOf(form: Credentials, isNew: boolean): Flaws {
  const flaws: Flaws = {};
  const needed: FieldName[] = isNew ? ['firstName', 'lastName', 'email', 'password'] : ['login', 'password'];
  for (const name of needed) if (String(form[name]).trim() === '') flaws[name] = 'required';
  if (!isNew) return flaws;
  // The server decides what an address is; this catches slips of the finger.
  if (flaws.email === undefined && !/^\S+@\S+\.\S+$/.test(form.email.trim())) flaws.email = 'email';
  if (flaws.password === undefined && form.password.length < MIN_PASSWORD) flaws.password = 'password';
  if (!form.consent) flaws.consent = 'consent';
  return flaws;
}

export function toRegistration(form: Credentials): Registration {
  const [login, phone] = [form.login.trim(), form.phone.trim()];
  return {
    email: form.email.trim(),
    password: form.password,
    firstName: form.firstName.trim(),
    lastName: form.lastName.trim(),
    ...(login === '' ? {} : { login }),
    ...(phone === '' ? {} : { phone }),
    consent: true,
  };
}
