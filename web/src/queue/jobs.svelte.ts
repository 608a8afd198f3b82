/** All jobs of this shopper: joining, following after a refresh, leaving, and what follows from their end. */
import { line } from '../api/client';
import { Problem } from '../api/problem';
import type { BookRequest } from '../api/types';
import { JobFollower } from './follower.svelte';
import { IntentKeys } from './intent';
import { addRef, isShownTo, type JobRef, refStore, removeRef, withPutAway } from './refs';

type EndListener = (follower: JobFollower) => void;

class Jobs {
  followers = $state.raw<JobFollower[]>([]);
  private readonly keys = new IntentKeys();
  private readonly endListeners = new Set<EndListener>();
  private person: string | null = null;
  private isStarted = false;

  start(): void {
    this.isStarted = true;
    this.sync();
    refStore.onChange(() => this.sync());
  }

  /** Whoever is here now sees their own places. */
  showTo(userId: string | number | null): void {
    this.person = userId === null ? null : String(userId);
    this.bringBack();
  }

  /** Shows again what was put away of whoever is here. */
  bringBack(): void {
    const refs = refStore.read();
    if (this.person !== null && refs.some((r) => r.userId === this.person && r.isPutAway)) {
      refStore.write(withPutAway(refs, this.person, false));
    }
    if (this.isStarted) this.sync();
  }

  /** Before somebody signs out: the next one at this device must not see their places. */
  putAway(): void {
    if (this.person !== null) refStore.write(withPutAway(refStore.read(), this.person, true));
  }

  ofEvent(eventId: number): JobFollower[] {
    return this.followers.filter((f) => f.ref.eventId === eventId);
  }

  /** Takes a place in the event's line; a repeat after a lost answer finds the same place. */
  async join(event: { id: number; name: string }, request: BookRequest): Promise<void> {
    const intent = JSON.stringify([event.id, request]);
    try {
      const accepted = await line.book(event.id, request, this.keys.keyOf(intent));
      this.keys.settle(intent);
      this.add({
        jobId: accepted.jobId,
        userId: this.person ?? '',
        eventId: event.id,
        eventName: event.name,
        request,
        startPlace: accepted.queuePosition,
        joinedAt: Date.now(),
      });
    } catch (error) {
      if (!(error instanceof Problem && error.isTransient)) this.keys.settle(intent);
      throw error;
    }
  }

  /** Remembers that the end of a job was told. */
  noteTold(jobId: string): void {
    refStore.write(refStore.read().map((ref) => (ref.jobId === jobId ? { ...ref, isTold: true } : ref)));
  }

  /** Forgets a job that has ended and whose end was read. */
  dismiss(jobId: string): void {
    refStore.write(removeRef(refStore.read(), jobId));
    this.sync();
  }

  onEnd(listener: EndListener): () => void {
    this.endListeners.add(listener);
    return () => this.endListeners.delete(listener);
  }

  private add(ref: JobRef): void {
    refStore.write(addRef(refStore.read(), ref));
    this.sync();
  }

  private sync(): void {
    const refs = refStore.read().filter((r) => isShownTo(r, this.person));
    const kept = this.followers.filter((f) => {
      const isKept = refs.some((r) => r.jobId === f.ref.jobId);
      if (!isKept) f.stop();
      return isKept;
    });
    const fresh = refs.filter((r) => !kept.some((f) => f.ref.jobId === r.jobId));
    this.followers = [...kept, ...fresh.map((ref) => new JobFollower(ref, (f) => this.ended(f)))];
  }

  private ended(follower: JobFollower): void {
    for (const listener of this.endListeners) listener(follower);
  }
}

export const jobs = new Jobs();
