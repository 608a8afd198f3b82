/** References of jobs, kept in localStorage so that a refresh or another tab keeps the place. */
import type { BookRequest } from '../api/types';

export interface JobRef {
  jobId: string;
  /** Whose place it is; empty where that was not known yet. */
  userId: string;
  eventId: number;
  eventName: string;
  request: BookRequest;
  /** The first place seen: where the progress bar starts. */
  startPlace: number;
  joinedAt: number;
  /** How it ended was told on another page; it is shown in full on its event's. */
  isTold?: boolean;
  /** Its owner signed out here: nobody else is shown it. */
  isPutAway?: boolean;
}

/** The socket takes 16 jobs and 20 messages a second; some room is left for events and the greeting. */
export const MAX_REFS = 12;

const KEY = 'usher.jobs';

export function parseRefs(text: string | null): JobRef[] {
  if (text === null) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isRef).slice(-MAX_REFS) : [];
  } catch {
    return [];
  }
}

function isRef(value: unknown): value is JobRef {
  if (typeof value !== 'object' || value === null) return false;
  const ref = value as Partial<Record<keyof JobRef, unknown>>;
  return (
    typeof ref.jobId === 'string' &&
    typeof ref.userId === 'string' &&
    typeof ref.eventId === 'number' &&
    typeof ref.eventName === 'string' &&
    typeof ref.startPlace === 'number' &&
    typeof ref.joinedAt === 'number' &&
    typeof ref.request === 'object' &&
    ref.request !== null
  );
}

/** The same job again (a repeated request) keeps its first entry. */
export function addRef(refs: readonly JobRef[], ref: JobRef): JobRef[] {
  return refs.some((r) => r.jobId === ref.jobId) ? [...refs] : [...refs, ref].slice(-MAX_REFS);
}

export function removeRef(refs: readonly JobRef[], jobId: string): JobRef[] {
  return refs.filter((r) => r.jobId !== jobId);
}

/** One sees one's own places. When a sign-in has merely run out they stay in sight; signing out takes them away. */
export function isShownTo(ref: JobRef, userId: string | null): boolean {
  if (userId === null) return ref.isPutAway !== true;
  return ref.userId === userId || ref.userId === '';
}

export function withPutAway(refs: readonly JobRef[], userId: string, isPutAway: boolean): JobRef[] {
  return refs.map((r) => (r.userId === userId ? { ...r, isPutAway } : r));
}

/** Where storage is full or forbidden, the place lasts as long as the page. */
let inMemory: JobRef[] | null = null;

export const refStore = {
  read: (): JobRef[] => {
    if (inMemory !== null) return inMemory;
    try {
      return parseRefs(localStorage.getItem(KEY));
    } catch {
      return [];
    }
  },
  write: (refs: readonly JobRef[]): void => {
    try {
      localStorage.setItem(KEY, JSON.stringify(refs));
      inMemory = null;
    } catch {
      inMemory = [...refs];
    }
  },
  onChange: (listener: () => void): void => {
    window.addEventListener('storage', (event) => {
      if (event.key === KEY || event.key === null) listener();
    });
  },
};
