/** Errors of the API (RFC 9457), as one typed class. */

const CODES = [
  'bad_json', 'bad_request', 'validation', 'bad_job_reference', 'job_expired', 'unauthenticated', 'token_expired',
  'bad_credentials', 'forbidden', 'cross_site', 'not_owner', 'not_found', 'method_not_allowed', 'seat_taken',
  'sold_out', 'not_enough_adjacent', 'limit_reached', 'left', 'removed', 'booking_closed', 'already_registered',
  'body_too_large', 'unsupported_media_type', 'idempotency_mismatch', 'seat_of_other_event', 'sale_closed',
  'already_booked', 'in_progress', 'second_factor_needed', 'bad_second_factor', 'second_factor_required',
  'second_factor_in_use', 'payment_under_way', 'email_not_verified', 'email_verified', 'bad_code', 'code_expired', 'cart_empty', 'reservation_expired',
  'order_closed', 'refund_not_allowed', 'mixed_currencies', 'payment_unavailable', 'ticket_cancelled', 'already_used',
  'wrong_event', 'event_over', 'bad_ticket_code', 'already_exists', 'in_use',
  'too_many_requests', 'too_many_jobs', 'queue_full', 'queue_unavailable', 'store_unavailable', 'timeout', 'internal',
] as const;

/** `offline` is ours: no answer came at all. */
export type ProblemCode = (typeof CODES)[number] | 'offline';

const known: ReadonlySet<string> = new Set(CODES);

export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly status: number,
    readonly code: ProblemCode,
    readonly detail: string,
    readonly retryAfterSeconds: number | null = null,
    readonly requestId: string | null = null,
    /** With `already_used`: when, and at which door. */
    readonly used: { at: string; gate: string } | null = null,
  ) {
    super(`${status} ${code}: ${detail}`);
  }

  /** Whether asking again later can help without a change of the request. */
  get isTransient(): boolean {
    return this.code === 'offline' || this.status === 429 || this.status >= 500;
  }
}

/** Reads a refusal; whatever stands in the way (a proxy's HTML page, say) still becomes a `Problem`. */
export function parseProblem(status: number, body: unknown, retryAfter: string | null): Problem {
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const code = typeof fields.code === 'string' && known.has(fields.code) ? (fields.code as ProblemCode) : byStatus(status);
  const detail = firstText(fields.detail, fields.title) ?? `HTTP ${status}`;
  const requestId = firstText(fields.requestId, fields.request_id);
  const usedAt = firstText(fields.usedAt);
  const used = usedAt === null ? null : { at: usedAt, gate: firstText(fields.gate) ?? '' };
  return new Problem(status, code, detail, parseRetryAfter(retryAfter), requestId, used);
}

export function parseRetryAfter(value: string | null): number | null {
  if (value === null || value.trim() === '') return null;
  const seconds = Number(value);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

function firstText(...values: unknown[]): string | null {
  return values.find((v): v is string => typeof v === 'string' && v !== '') ?? null;
}

function byStatus(status: number): ProblemCode {
  if (status === 401) return 'unauthenticated';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not_found';
  if (status === 409) return 'booking_closed';
  if (status === 413) return 'body_too_large';
  if (status === 422) return 'validation';
  if (status === 429) return 'too_many_requests';
  if (status === 502 || status === 503 || status === 504) return 'store_unavailable';
  return status >= 500 ? 'internal' : 'bad_request';
}
