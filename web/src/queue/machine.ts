/**
 * What a job is, as far as the shopper has heard: a tagged union and one pure step. The full `status` is the truth;
 * pushes only move it on, and nothing brings back a job that has ended.
 */
import type { FailureCode, JobResult, Status, WaitRange } from '../api/types';
import type { FromServer } from '../live/messages';

export interface Queued {
  status: 'queued';
  /** Null until it is known. */
  place: number | null;
  waiting: number;
  estimatedWaitTime: string | null;
  waitRange: WaitRange | null;
  paused: boolean;
  message: string | null;
  recovering: boolean;
  standby: boolean;
}

export type JobView =
  | { status: 'unknown' }
  | Queued
  | { status: 'processing'; progress: number }
  | { status: 'completed'; result: JobResult | null }
  | { status: 'failed'; code: FailureCode; error: string }
  /** The reference is too old or not understood: there is nothing more to learn from it. */
  | { status: 'gone' };

export function hasEnded(view: JobView): boolean {
  return view.status === 'completed' || view.status === 'failed' || view.status === 'gone';
}

export function fromStatus(status: Status): JobView {
  switch (status.status) {
    case 'queued':
      return {
        status: 'queued',
        place: status.place === undefined ? null : Math.max(1, status.place),
        waiting: Math.max(status.waiting, status.place ?? 0),
        estimatedWaitTime: status.estimatedWaitTime ?? null,
        waitRange: status.waitRange ?? null,
        paused: status.paused,
        message: status.message ?? null,
        recovering: status.recovering ?? false,
        standby: status.standby ?? false,
      };
    case 'processing':
      return { status: 'processing', progress: status.progress };
    case 'completed':
      // What was held has run out, or was bought: nothing is won any more.
      if (status.result?.remainingSeconds === 0) return { status: 'gone' };
      return { status: 'completed', result: status.result ?? null };
    case 'failed':
      return { status: 'failed', code: status.code, error: status.error };
  }
}

/**
 * Takes in a full state; an ended job stays ended, but may still learn what it won. A place is shown on while the server
 * does not know it, as when the line is being put back together.
 */
export function withStatus(view: JobView, status: Status): JobView {
  const next = fromStatus(status);
  if (!hasEnded(view)) {
    const isUnknown = view.status === 'queued' && next.status === 'queued' && next.place === null;
    return isUnknown ? { ...next, place: view.place, waiting: view.waiting } : next;
  }
  const learnsResult = view.status === 'completed' && next.status === 'completed' && view.result === null;
  return learnsResult ? next : view;
}

/** Takes in one message of the socket; those about other jobs or events change nothing. */
export function withMessage(view: JobView, job: { jobId: string; eventId: number }, message: FromServer): JobView {
  if ('jobId' in message) {
    if (message.jobId !== job.jobId) return view;
    if (message.type === 'status') return withStatus(view, message);
    if (message.type === 'reserved') {
      return withStatus(view, { status: 'completed', eventId: job.eventId, result: message.result ?? null });
    }
    if (hasEnded(view)) return view;
    if (message.type === 'failed') return { status: 'failed', code: message.code, error: message.error };
    if (message.type === 'processing') return { status: 'processing', progress: message.progress ?? 0 };
    return withPlace(view, message);
  }
  const isPause = message.type === 'paused' || message.type === 'resumed' || message.type === 'message';
  if (!isPause || view.status !== 'queued') return view;
  if (message.eventId !== null && message.eventId !== undefined && message.eventId !== job.eventId) return view;
  if (message.type === 'resumed') return { ...view, paused: false, message: message.message || null };
  return { ...view, paused: view.paused || message.type === 'paused', message: message.message || null };
}

function withPlace(view: JobView, at: FromServer & { type: 'place' }): JobView {
  const heard = {
    place: Math.max(1, at.place),
    waiting: Math.max(at.waiting, at.place),
    estimatedWaitTime: at.estimatedWaitTime,
    waitRange: at.waitRange ?? null,
    recovering: false,
  };
  if (view.status === 'queued') return { ...view, ...heard };
  // A push that was overtaken by `processing` would move the shopper back into the line.
  if (view.status !== 'unknown') return view;
  return { status: 'queued', ...heard, paused: false, message: null, standby: false };
}

/** How much of the line is behind one, 0–1, measured from the first place that was seen. */
export function lineProgress(view: JobView, startPlace: number): number {
  if (view.status === 'processing' || view.status === 'completed') return 1;
  if (view.status !== 'queued' || view.place === null) return 0;
  const start = Math.max(startPlace, view.place);
  return (start - view.place + 0.5) / (start + 0.5);
}
