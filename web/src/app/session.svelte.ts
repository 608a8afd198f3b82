/** Who is here. Known from the cookie after a reload, from the answer after signing in. */
import { auth } from '../api/client';
import { setTokens, whenSignedOut } from '../api/http';
import { Problem } from '../api/problem';
import type { LoggedIn, Me, Registration } from '../api/types';
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
  get isAdmin(): boolean {
    return me?.role === 'admin';
  },
  /** Whether they check tickets at a door. */
  get isScanner(): boolean {
    return me?.role === 'scanner' || me?.role === 'admin';
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

export async function signIn(login: string, password: string, code?: string): Promise<void> {
  adopt(await auth.login(login, password, code));
}

/** A new session takes the place of the one before, which may have ended with it. */
export function adopt(answer: LoggedIn): void {
  setTokens({ accessToken: answer.accessToken, refreshToken: answer.refreshToken });
  live.restart();
  become(answer.user);
  isKnown = true;
}

/** The person has changed what they are called. */
export async function renewMe(): Promise<void> {
  become(await auth.me());
}

export async function register(who: Registration): Promise<void> {
  await auth.register(who);
}

/** While the server cannot say that it is done, one is still here: the cookie would bring the person back. */
export async function signOut(): Promise<void> {
  try {
    await auth.logout();
  } catch (error) {
    if (!(error instanceof Problem) || error.isTransient) throw error;
  }
  forget();
}

/** Nobody is here any more, as the server knows already. */
export function forget(): void {
  setTokens(null);
  become(null);
  live.restart();
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
