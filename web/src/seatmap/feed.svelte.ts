/** The live availability of one event: the bytes first, then what the socket tells, in the order of versions. */
import { events } from '../api/client';
import { live } from '../live';
import type { AvailabilityMessage } from '../live/messages';
import { backoffMs, jittered, SOCKET_BACKOFF } from '../live/backoff';
import { applyChange, type AreaCount, type Availability, countStates, decodeAvailability } from './availability';

const POLL_WITHOUT_SOCKET_MS = 10_000;
/** Counting 100,000 states for each of four messages a second would be waste. */
const COUNT_EVERY_MS = 400;

type Listener = (moved: readonly number[] | 'all') => void;

export class AvailabilityFeed {
  counts = $state.raw<[number, number, number, number]>([0, 0, 0, 0]);
  areas = $state.raw<AreaCount[]>([]);
  isLoaded = $state(false);
  data: Availability | null = null;

  private readonly pending: AvailabilityMessage[] = [];
  private readonly listeners = new Set<Listener>();
  private readonly undo: (() => void)[] = [];
  private isLoading = false;
  private isStale = false;
  /** Another layout was told of; a gateway that has read it not long ago may still answer with the one before. */
  private isInDoubt = false;
  private isStopped = false;
  private failures = 0;
  private wasUp: boolean | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private countTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly eventId: number,
    private readonly onLayout: (version: number) => void,
  ) {
    this.undo.push(
      live.listen((message) => {
        if (message.type === 'availability' && message.eventId === eventId) this.heard(message);
      }),
      live.watch(eventId),
      live.listenState((isUp) => {
        // Changes told while the socket was away were missed.
        if (isUp && this.wasUp === false) void this.load();
        this.wasUp = isUp;
      }),
    );
    void this.load();
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.countTimer);
    for (const undo of this.undo) undo();
  }

  private heard(message: AvailabilityMessage): void {
    if (message.reload) {
      this.isInDoubt = true;
      // A crowd is told to reload at the same moment; it spreads over a second.
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.load(), Math.random() * 1_000);
    } else if (this.data === null || this.isLoading) this.pending.push(message);
    else this.apply(message);
  }

  private apply(message: AvailabilityMessage): void {
    if (this.data === null) return;
    const moved = applyChange(this.data, message);
    if (moved === null) return;
    if (moved.length > 0) this.tell(moved);
    this.areas = this.data.areas;
    this.countTimer ??= setTimeout(() => this.count(), COUNT_EVERY_MS);
  }

  private count(): void {
    this.countTimer = undefined;
    if (this.data) this.counts = countStates(this.data.states);
  }

  private async load(): Promise<void> {
    if (this.isLoading) {
      this.isStale = true;
      return;
    }
    this.isLoading = true;
    clearTimeout(this.timer);
    try {
      this.data = decodeAvailability(await events.availability(this.eventId));
      this.failures = 0;
    } catch {
      this.failures += 1;
    }
    this.isLoading = false;
    if (this.isStopped) return;
    if (this.failures === 0) this.loaded();
    if (this.isStale) {
      this.isStale = false;
      void this.load();
      return;
    }
    this.scheduleNext();
  }

  private loaded(): void {
    if (this.data === null) return;
    for (const message of this.pending.splice(0)) applyChange(this.data, message);
    this.areas = this.data.areas;
    this.isLoaded = true;
    this.count();
    this.onLayout(this.data.layoutVersion);
    this.tell('all');
  }

  private scheduleNext(): void {
    const waitMs =
      this.failures > 0
        ? backoffMs(this.failures, SOCKET_BACKOFF, Math.random)
        : jittered(POLL_WITHOUT_SOCKET_MS, Math.random);
    this.timer = setTimeout(() => {
      if (live.up && this.failures === 0 && !this.isInDoubt) this.scheduleNext();
      else {
        this.isInDoubt = false;
        void this.load();
      }
    }, waitMs);
  }

  private tell(moved: readonly number[] | 'all'): void {
    for (const listener of this.listeners) listener(moved);
  }
}
