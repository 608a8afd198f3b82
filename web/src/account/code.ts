/** Six digits that arrive by mail or telephone, and the change that they make: pure. */
import type { ChangeSent, ContactField } from '../api/person';
import { Problem } from '../api/problem';

export const CODE_LENGTH = 6;

/** What was typed or pasted, as digits: spaces, dashes and the words around a code fall away. */
export function digitsOf(text: string): string {
  return text.replace(/\D/g, '').slice(0, CODE_LENGTH);
}

export function isWhole(code: string): boolean {
  return code.length === CODE_LENGTH;
}

export type CodeStep =
  | { step: 'idle' }
  | { step: 'editing'; flaw: FieldFlaw | null }
  | { step: 'sent'; changeId: string; channel: ChangeSent['channel']; value: string; isWrong: boolean }
  /** Used up or too old: only another code helps. */
  | { step: 'stale'; value: string };

export type FieldFlaw = 'required' | 'email' | 'phone' | 'login';

/** Slips of the finger; the server decides what is taken. */
export function flawOf(field: ContactField, value: string): FieldFlaw | null {
  const text = value.trim();
  if (text === '') return 'required';
  switch (field) {
    case 'email':
      return isEmail(text) ? null : 'email';
    case 'phone':
      return isPhone(text) ? null : 'phone';
    case 'login':
      return isLogin(text) ? null : 'login';
  }
}

export function isEmail(text: string): boolean {
  return /^[^\s@]+@[^\s@.][^\s@]*\.[^\s@.]+$/.test(text);
}

export function isPhone(text: string): boolean {
  return /^\+?\d{5,15}$/.test(text.replace(/[\s\-.()]/g, ''));
}

export function isLogin(text: string): boolean {
  return text.length <= 100 && !/[@:]/.test(text);
}

export function sent(answer: ChangeSent, value: string): CodeStep {
  return { step: 'sent', changeId: answer.changeId, channel: answer.channel, value, isWrong: false };
}

/** After a refusal of the code; other trouble (no connection, say) leaves everything as it is. */
export function refused(step: CodeStep, error: unknown): CodeStep {
  if (step.step !== 'sent' || !(error instanceof Problem)) return step;
  if (error.code === 'bad_code') return { ...step, isWrong: true };
  if (error.code === 'code_expired' || error.code === 'not_found') return { step: 'stale', value: step.value };
  return step;
}
