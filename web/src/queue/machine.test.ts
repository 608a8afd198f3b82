import { describe, expect, it } from 'vitest';
import type { Status } from '../api/types';
import { fromStatus, hasEnded, type JobView, lineProgress, withMessage, withStatus } from './machine';

const job = { jobId: 'j1', eventId: 7 };
const queued = (place: number, over: Partial<Extract<Status, { status: 'queued' }>> = {}): Status => ({
  status: 'queued', eventId: 7, place, waiting: 100, estimatedWaitTime: '6 seconds', waitRange: { min: 4, max: 9 },
  paused: false, ...over,
});
const won = { bookingId: 1, seats: [], expiresAt: '2026-01-01T00:00:00Z', remainingSeconds: 900 };

describe('a full status', () => {
  it('starts the story from nothing', () => {
    const view = withStatus({ status: 'unknown' }, queued(42));
    expect(view).toMatchObject({ status: 'queued', place: 42, waiting: 100, paused: false, standby: false });
  });

  it('may send a job back from processing into its place', () => {
    const view = withStatus({ status: 'processing', progress: 10 }, queued(1));
    expect(view.status).toBe('queued');
  });

  it('never revives a job that has ended', () => {
    const failed: JobView = { status: 'failed', code: 'sold_out', error: '' };
    expect(withStatus(failed, queued(3))).toBe(failed);
    const completed: JobView = { status: 'completed', result: won };
    expect(withStatus(completed, { status: 'failed', eventId: 7, error: '', code: 'internal' })).toBe(completed);
  });

  it('adds what was won to a completion heard without it', () => {
    const view = withStatus({ status: 'completed', result: null }, { status: 'completed', eventId: 7, result: won });
    expect(view).toEqual({ status: 'completed', result: won });
  });

  it('has no place before it is known, and keeps one that was', () => {
    const { place: _, estimatedWaitTime: __, waitRange: ___, ...unknown } = queued(1) as Extract<Status, { status: 'queued' }>;
    const first = withStatus({ status: 'unknown' }, { ...unknown, waiting: 0 });
    expect(first).toMatchObject({ status: 'queued', place: null, estimatedWaitTime: null, waitRange: null });
    expect(lineProgress(first, 42)).toBe(0);
    const back = withStatus(withStatus(first, queued(42)), { ...unknown, recovering: true });
    expect(back).toMatchObject({ place: 42, waiting: 100, recovering: true });
    expect(lineProgress(back, 42)).toBeGreaterThan(0);
  });

  it('of a win whose hold is over celebrates nothing', () => {
    const over = { ...won, remainingSeconds: 0 };
    expect(fromStatus({ status: 'completed', eventId: 7, result: over })).toEqual({ status: 'gone' });
  });

  it('never shows a place below one, nor fewer waiting than the place', () => {
    expect(fromStatus(queued(0))).toMatchObject({ place: 1 });
    expect(fromStatus(queued(200))).toMatchObject({ place: 200, waiting: 200 });
  });
});

describe('a push', () => {
  const at = withStatus({ status: 'unknown' }, queued(42));

  it('moves the place and keeps the rest', () => {
    const paused = withStatus(at, queued(42, { paused: true, message: 'Soon' }));
    const message = { type: 'place', jobId: 'j1', place: 12, waiting: 90, estimatedWaitTime: '2 seconds' } as const;
    expect(withMessage(paused, job, message)).toMatchObject({ place: 12, waiting: 90, paused: true, message: 'Soon' });
  });

  it('of a place ends the putting back together', () => {
    const back = withStatus(at, { ...queued(42), recovering: true } as Status);
    const message = { type: 'place', jobId: 'j1', place: 12, waiting: 90, estimatedWaitTime: '2 seconds' } as const;
    expect(withMessage(back, job, message)).toMatchObject({ place: 12, recovering: false });
  });

  it('about another job or event changes nothing', () => {
    expect(withMessage(at, job, { type: 'processing', jobId: 'j2' })).toBe(at);
    expect(withMessage(at, job, { type: 'paused', eventId: 8, message: 'x' })).toBe(at);
  });

  it('of a place that was overtaken does not move a processing job back', () => {
    const busy: JobView = { status: 'processing', progress: 0 };
    const late = { type: 'place', jobId: 'j1', place: 2, waiting: 9, estimatedWaitTime: '' } as const;
    expect(withMessage(busy, job, late)).toBe(busy);
  });

  it('pauses and resumes one event or all of them', () => {
    const paused = withMessage(at, job, { type: 'paused', eventId: 7, message: 'Stage check' });
    expect(paused).toMatchObject({ paused: true, message: 'Stage check' });
    expect(withMessage(paused, job, { type: 'resumed', eventId: null })).toMatchObject({ paused: false, message: null });
    expect(withMessage(paused, job, { type: 'resumed', eventId: null, message: 'thanks' })).toMatchObject({ message: 'thanks' });
    expect(withMessage(paused, job, { type: 'message', eventId: null, message: '' })).toMatchObject({ message: null });
  });

  it('goes through processing to the seats', () => {
    const busy = withMessage(at, job, { type: 'processing', jobId: 'j1', progress: 30 });
    expect(busy).toEqual({ status: 'processing', progress: 30 });
    const done = withMessage(busy, job, { type: 'reserved', jobId: 'j1', result: won });
    expect(done).toEqual({ status: 'completed', result: won });
    expect(hasEnded(done)).toBe(true);
    expect(withMessage(done, job, { type: 'failed', jobId: 'j1', error: '', code: 'internal' })).toBe(done);
  });
});

describe('progress', () => {
  it('grows from the first place seen to the head', () => {
    const places = [1000, 500, 10, 1].map((p) => lineProgress(fromStatus(queued(p)), 1000));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeLessThan(0.01);
    expect(places[3]).toBeGreaterThan(0.99);
  });

  it('does not go below zero when the first place was heard late', () => {
    expect(lineProgress(fromStatus(queued(50)), 10)).toBeGreaterThanOrEqual(0);
  });
});
