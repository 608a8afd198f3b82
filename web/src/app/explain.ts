/** What to tell a person about an error, in their language. */
import { Problem, type ProblemCode } from '../api/problem';
import { duration, t } from '../i18n/index.svelte';
import type { TextKey } from '../i18n/texts';

type PlainKey = Exclude<Extract<TextKey, `error.${string}` | `failed.${string}`>, 'error.wait'>;

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

export function explain(error: unknown): string {
  if (!(error instanceof Problem)) return t('error.generic');
  const key = KEYS[error.code];
  // What has no text of its own is about the request's content, which only the server's words name.
  const text = key ? t(key) : `${t('error.generic')} ${error.detail}`;
  if (error.retryAfterSeconds === null || error.retryAfterSeconds < 1) return text;
  return `${text} ${t('error.wait', { time: duration(error.retryAfterSeconds) })}`;
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof Problem && (error.code === 'unauthenticated' || error.code === 'token_expired');
}
