/** What travels over `/ws`. A message that is not understood is dropped: the state can always be read again. */
import type { FailureCode, JobResult, Status, WaitRange } from '../api/types';
import type { SeatState } from '../seatmap/availability';

export type ToServer =
  | { type: 'auth'; token: string }
  | { type: 'subscribe' | 'unsubscribe'; jobId: string }
  | { type: 'watch' | 'unwatch'; eventId: number }
  | { type: 'ping' };

export type JobMessage =
  | ({ type: 'status'; jobId: string } & Status)
  | {
      type: 'place';
      jobId: string;
      place: number;
      waiting: number;
      estimatedWaitTime: string;
      waitRange?: WaitRange | null;
    }
  | { type: 'processing'; jobId: string; progress?: number }
  | { type: 'reserved'; jobId: string; result?: JobResult | null }
  | { type: 'failed'; jobId: string; error: string; code: FailureCode };

export type EventMessage =
  | { type: 'event'; eventId: number; paused: boolean; message?: string | null; waiting: number; version: number }
  | { type: 'paused' | 'resumed' | 'message'; eventId?: number | null; message?: string | null }
  | AvailabilityMessage;

export interface AvailabilityMessage {
  type: 'availability';
  eventId: number;
  version: number;
  changes?: [seatIndex: number, state: SeatState][];
  areas?: [areaId: number, free: number][];
  reload?: boolean;
}

export interface HoldMessage {
  type: 'expired' | 'released';
  bookingId: string | number;
  eventId: number;
  seatIds: number[];
  slots?: [areaId: number, slot: number][];
}

export type FromServer =
  | JobMessage
  | EventMessage
  | HoldMessage
  | { type: 'pong' | 'authenticated' }
  | { type: 'error'; code: string; detail: string };

const TYPES: ReadonlySet<string> = new Set<FromServer['type']>([
  'status', 'place', 'processing', 'reserved', 'failed', 'event', 'paused', 'resumed', 'message', 'availability',
  'expired', 'released', 'pong', 'authenticated', 'error',
]);

const ABOUT_JOBS: ReadonlySet<string> = new Set<JobMessage['type']>([
  'status', 'place', 'processing', 'reserved', 'failed',
]);

export function parseMessage(text: string): FromServer | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { type, jobId } = value as { type?: unknown; jobId?: unknown };
    if (typeof type !== 'string' || !TYPES.has(type)) return null;
    if (ABOUT_JOBS.has(type) && typeof jobId !== 'string') return null;
    return value as FromServer;
  } catch {
    return null;
  }
}
