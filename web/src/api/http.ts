/** One `fetch` for all calls: credentials, JSON, problems, and a single renewal of an expired token. */
import { parseProblem, Problem } from './problem';

export interface Tokens {
  accessToken: string;
  refreshToken: string;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Call {
  body?: unknown;
  /** A body that is not JSON of ours, sent as it is. */
  raw?: { type: string; data: Blob };
  headers?: Record<string, string>;
  signal?: AbortSignal;
  cache?: RequestCache;
}

let tokens: Tokens | null = null;
let renewing: Promise<boolean> | null = null;
let onSignedOut: () => void = () => undefined;

/** Tokens live in this module's memory only; after a reload the HttpOnly cookie speaks for the person. */
export function setTokens(next: Tokens | null): void {
  tokens = next;
}

export function accessToken(): string | null {
  return tokens?.accessToken ?? null;
}

export function whenSignedOut(handler: () => void): void {
  onSignedOut = handler;
}

export async function request<T>(method: Method, path: string, call: Call = {}): Promise<T> {
  const response = await send(method, path, call);
  try {
    const text = await response.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  } catch (cause) {
    if (call.signal?.aborted) throw cause;
    throw new Problem(0, 'offline', 'The answer was cut off');
  }
}

/** Sends, renews the token once where it has run out, and throws a `Problem` for every refusal. */
export async function send(method: Method, path: string, call: Call = {}): Promise<Response> {
  const sentWith = tokens;
  let answer = await attempt(method, path, call);
  // A wrong password is a 401 too, and must not be sent a second time.
  if (answer instanceof Problem && isOver(answer) && sentWith !== null && (await renew(sentWith))) {
    answer = await attempt(method, path, call);
  }
  if (!(answer instanceof Problem)) return answer;
  if (isOver(answer)) {
    tokens = null;
    onSignedOut();
  }
  throw answer;
}

function isOver(problem: Problem): boolean {
  return problem.code === 'unauthenticated' || problem.code === 'token_expired';
}

async function attempt(method: Method, path: string, call: Call): Promise<Response | Problem> {
  const response = await once(method, path, call);
  if (response.ok || response.status === 304) return response;
  const body: unknown = await response.json().catch(() => null);
  return parseProblem(response.status, body, response.headers.get('Retry-After'));
}

async function once(method: Method, path: string, call: Call): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...call.headers };
  if (tokens !== null) headers.Authorization = `Bearer ${tokens.accessToken}`;
  const init: RequestInit = { method, headers, credentials: 'same-origin' };
  if (call.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(call.body);
  }
  if (call.raw !== undefined) {
    headers['Content-Type'] = call.raw.type;
    init.body = call.raw.data;
  }
  if (call.cache) init.cache = call.cache;
  if (call.signal) init.signal = call.signal;
  try {
    return await fetch(path, init);
  } catch (cause) {
    if (call.signal?.aborted) throw cause;
    throw new Problem(0, 'offline', 'No connection to the server');
  }
}

/** Gets a new token in place of one that has run out; false where nobody is here any more, or it cannot be had now. */
export function renewToken(): Promise<boolean> {
  return tokens === null ? Promise.resolve(false) : renew(tokens).catch(() => false);
}

/** A refresh token works once, so calls that fail together share one renewal. */
function renew(stale: Tokens): Promise<boolean> {
  if (tokens !== null && tokens !== stale) return Promise.resolve(true);
  renewing ??= exchange(stale).finally(() => {
    renewing = null;
  });
  return renewing;
}

/** A used token is answered alike for ten seconds, and counts as copied later: the second of two tries must fall into them. */
const SWAP_MS = 4_000;

/** False when the server says no. A fault that passes is thrown: it signs nobody out. */
async function exchange(stale: Tokens): Promise<boolean> {
  // An answer that was lost on its way, or that a server in between could not give, is asked for once more.
  const fresh = await swap(stale)
    .then((first) => (first instanceof Problem && first.status >= 500 ? swap(stale) : first), () => swap(stale))
    .catch(() => new Problem(0, 'offline', 'No connection to the server'));
  if (fresh instanceof Problem) {
    if (fresh.isTransient) throw fresh;
    return false;
  }
  tokens = { accessToken: fresh.accessToken, refreshToken: fresh.refreshToken };
  return true;
}

/** Throws where no answer came in time, or only a part of one. */
async function swap(stale: Tokens): Promise<Tokens | Problem> {
  const response = await fetch('/api/auth/refresh', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ refreshToken: stale.refreshToken }),
    credentials: 'same-origin',
    signal: AbortSignal.timeout(SWAP_MS),
  });
  if (response.ok) return (await response.json()) as Tokens;
  const body: unknown = await response.json().catch(() => null);
  return parseProblem(response.status, body, response.headers.get('Retry-After'));
}
