/** The operator's list: every line in use, and below them the events whose line nobody has entered yet. */
import type { EventCard, Lane } from '../api/types';

type Quiet = Pick<EventCard, 'id' | 'name' | 'status' | 'queuePaused' | 'queueMessage'>;

/** A line appears with its first request; it can be paused before, and then it must be seen to be resumed. */
export function withQuietEvents(lanes: readonly Lane[], events: readonly Quiet[]): Lane[] {
  const used = new Set(lanes.map((l) => l.eventId));
  const quiet = events.filter((e) => !used.has(e.id) && (e.status !== 'closed' || e.queuePaused));
  return [...lanes, ...quiet.map(quietLane)];
}

/**
 * Whether nothing is paused there. The server is told a message by a resume, which would end a pause, too; while one line
 * runs, the whole queue does.
 */
export function isRunning(lanes: readonly Lane[], eventId: number | 'all'): boolean {
  return lanes.some((l) => !l.paused && (eventId === 'all' || l.eventId === eventId));
}

function quietLane(event: Quiet): Lane {
  return {
    eventId: event.id,
    eventName: event.name,
    waiting: 0,
    active: 0,
    standby: 0,
    paused: event.queuePaused,
    message: event.queueMessage,
    oldestWaitingSeconds: null,
    lease: null,
  };
}
