/** Who is here. Known from the cookie after a reload, from the answer after signing in. */
import { auth } from '../api/client';
import { setTokens, whenSignedOut } from '../api/http';
import { Problem } from '../api/problem';
import type { Me, Registration } from '../api/types';
import { live } from '../live';
import { backoffMs, SOCKET_BACKOFF } from '../live/backoff';

let me = $state.raw<Me | null>(null);
let isKnown = $state(false);
let letGo: (() => void) | null = null;

export const session = {
  get me(): Me | null {
    return me;
  },
  /** False until the first answer: pages must not send anybody to sign in before it. */
  get isKnown(): boolean {
    return isKnown;
  },
  get isOperator(): boolean {
    return me?.role === 'operator' || me?.role === 'admin';
  },
};

/** Ends after the first answer or refusal; while the server can't say, it is asked again behind the scenes. */
export async function startSession(): Promise<void> {
  whenSignedOut(() => become(null));
  await askWho(0);
}

async function askWho(attempt: number): Promise<void> {
  try {
    const who = await auth.me();
    if (me === null) become(who);
    isKnown = true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    isKnown = !error.isTransient;
    if (error.isTransient) setTimeout(() => void askWho(attempt + 1), backoffMs(attempt, SOCKET_BACKOFF, Math.random));
  }
}

export async function signIn(login: string, password: string): Promise<void> {
  const answer = await auth.login(login, password);
  setTokens({ accessToken: answer.accessToken, refreshToken: answer.refreshToken });
  live.restart();
  become(answer.user);
  isKnown = true;
}

export async function register(who: Registration): Promise<void> {
  await auth.register(who);
}

export async function signOut(): Promise<void> {
  try {
    await auth.logout();
  } finally {
    setTokens(null);
    become(null);
    live.restart();
  }
}

/** While somebody is signed in the socket stays open: it tells when their seats run out. */
function become(next: Me | null): void {
  me = next;
  if (next !== null) letGo ??= live.keepOpen();
  else {
    letGo?.();
    letGo = null;
  }
}
