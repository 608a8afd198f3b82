/** What to tell a person about an error, in their language. */
import { Problem, type ProblemCode } from '../api/problem';
import { duration, t } from '../i18n/index.svelte';
import type { TextKey } from '../i18n/texts';

type PlainKey = Exclude<Extract<TextKey, `error.${string}` | `failed.${string}` | `refusal.${string}`>, 'error.wait'>;

const KEYS: Partial<Record<ProblemCode, PlainKey>> = {
  offline: 'error.offline',
  unauthenticated: 'error.unauthenticated',
  token_expired: 'error.unauthenticated',
  bad_credentials: 'error.bad_credentials',
  already_registered: 'error.already_registered',
  forbidden: 'error.forbidden',
  cross_site: 'error.forbidden',
  not_owner: 'error.forbidden',
  not_found: 'error.not_found',
  seat_taken: 'error.seat_taken',
  sold_out: 'failed.sold_out',
  not_enough_adjacent: 'failed.not_enough_adjacent',
  limit_reached: 'failed.limit_reached',
  left: 'failed.left',
  removed: 'failed.removed',
  already_booked: 'failed.already_booked',
  in_progress: 'error.in_progress',
  second_factor_needed: 'error.second_factor_needed',
  bad_second_factor: 'error.bad_second_factor',
  second_factor_required: 'error.second_factor_required',
  second_factor_in_use: 'error.second_factor_in_use',
  payment_under_way: 'error.payment_under_way',
  email_not_verified: 'error.email_not_verified',
  email_verified: 'error.email_verified',
  bad_code: 'error.bad_code',
  code_expired: 'error.code_expired',
  cart_empty: 'error.cart_empty',
  reservation_expired: 'error.reservation_expired',
  order_closed: 'error.order_closed',
  refund_not_allowed: 'error.refund_not_allowed',
  mixed_currencies: 'error.mixed_currencies',
  payment_unavailable: 'error.payment_unavailable',
  ticket_cancelled: 'refusal.ticket_cancelled',
  already_used: 'refusal.already_used',
  wrong_event: 'refusal.wrong_event',
  event_over: 'refusal.event_over',
  bad_ticket_code: 'refusal.bad_ticket_code',
  already_exists: 'error.already_exists',
  in_use: 'error.in_use',
  sale_closed: 'error.sale_closed',
  booking_closed: 'error.booking_closed',
  too_many_requests: 'error.too_many_requests',
  too_many_jobs: 'error.too_many_jobs',
  queue_full: 'error.unavailable',
  queue_unavailable: 'error.unavailable',
  store_unavailable: 'error.unavailable',
  timeout: 'error.unavailable',
  internal: 'error.internal',
};

/** The server names the field in its sentence; people are told in theirs. */
const TAKEN: readonly (readonly [word: string, key: PlainKey])[] = [
  ['phone', 'error.phoneTaken'],
  ['e-mail', 'error.emailTaken'],
  ['login', 'error.loginTaken'],
];
/** Only the server's words say which thing it is. */
const NAMED: ReadonlySet<ProblemCode> = new Set(['in_use', 'already_exists']);

export function explain(error: unknown): string {
  if (!(error instanceof Problem)) return t('error.generic');
  const text = textOf(error);
  // Of too many jobs in a line only leaving one helps.
  if (error.retryAfterSeconds === null || error.retryAfterSeconds < 1 || error.code === 'too_many_jobs') return text;
  return `${text} ${t('error.wait', { time: duration(error.retryAfterSeconds) })}`;
}

function textOf({ code, detail }: Problem): string {
  const taken = code === 'already_registered' ? TAKEN.find(([word]) => detail.includes(word)) : undefined;
  const key = taken?.[1] ?? KEYS[code];
  // What has no text of its own is about the request's content, which only the server's words name.
  if (key === undefined) return `${t('error.generic')} ${detail}`;
  return NAMED.has(code) ? `${t(key)} ${detail}` : t(key);
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof Problem && (error.code === 'unauthenticated' || error.code === 'token_expired');
}
