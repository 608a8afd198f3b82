/** Follows one job: by the socket while it is up, by polling while it is away. */
import { line } from '../api/client';
import { Problem } from '../api/problem';
import { live } from '../live';
import { nextPollMs } from '../live/backoff';
import { hasEnded, type JobView, withMessage, withStatus } from './machine';
import type { JobRef } from './refs';

/** A socket that is up but says nothing about the job is checked on after this long. */
const QUIET_MS = 20_000;

export class JobFollower {
  view = $state.raw<JobView>({ status: 'unknown' });
  isLive = $state(live.up);

  private failures = 0;
  private retryAfter: number | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly undo: (() => void)[] = [];
  private isStopped = false;

  constructor(
    readonly ref: JobRef,
    private readonly onEnd: (follower: JobFollower) => void,
  ) {
    this.undo.push(
      live.listen((message) => {
        const next = withMessage(this.view, this.ref, message);
        if ('jobId' in message && message.jobId === this.ref.jobId) this.schedule();
        this.move(next);
      }),
      live.subscribe(ref.jobId),
      live.listenState((isUp) => {
        this.isLive = isUp;
        this.schedule();
      }),
    );
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
    for (const undo of this.undo.splice(0)) undo();
  }

  async leave(): Promise<void> {
    this.move(withStatus(this.view, await line.leave(this.ref.jobId)));
  }

  private schedule(): void {
    clearTimeout(this.timer);
    if (this.isStopped) return;
    const place = this.view.status === 'queued' ? this.view.place : null;
    const isFresh = this.view.status === 'unknown' && this.failures === 0;
    const waitMs = this.isLive
      ? QUIET_MS
      : isFresh
        ? 1_000 * Math.random()
        : nextPollMs(place, this.failures, this.retryAfter, Math.random);
    this.timer = setTimeout(() => void this.poll(), waitMs);
  }

  private async poll(): Promise<void> {
    try {
      const status = await line.status(this.ref.jobId);
      this.failures = 0;
      this.retryAfter = null;
      this.move(withStatus(this.view, status));
    } catch (error) {
      this.failures += 1;
      this.retryAfter = error instanceof Problem ? error.retryAfterSeconds : null;
      if (error instanceof Problem && isFinal(error)) this.move({ status: 'gone' });
    }
    this.schedule();
  }

  private move(next: JobView): void {
    if (this.isStopped || next === this.view) return;
    const hadEnded = hasEnded(this.view);
    this.view = next;
    if (!hasEnded(next)) return;
    this.stop();
    if (!hadEnded) this.onEnd(this);
  }
}

function isFinal(problem: Problem): boolean {
  return problem.code === 'job_expired' || problem.code === 'bad_job_reference' || problem.code === 'not_found';
}
