/** The operator's list: lines in use, and below them the other events, whose line mostly nobody has entered yet. */
import type { EventCard, Lane, QueueStats } from '../api/types';

type Quiet = Pick<EventCard, 'id' | 'name' | 'status' | 'queuePaused' | 'queueMessage'>;

/** How many are in a line. */
type Figure = 'waiting' | 'active' | 'standby';

/** A line as it is listed; null is a figure that the server did not tell. */
export type LaneRow = Omit<Lane, Figure> & Record<Figure, number | null>;

/**
 * A line appears with its first request; it can be paused before, and then it must be seen to be resumed.
 *
 * Of `total` lines in use the server tells so many at most, those first that somebody is in. Where it leaves some out and
 * none that it tells is empty, somebody may be in any other one.
 */
export function withQuietEvents(lanes: readonly Lane[], total: number, events: readonly Quiet[]): LaneRow[] {
  const told = new Set(lanes.map((l) => l.eventId));
  const others = events.filter((e) => !told.has(e.id) && (e.status !== 'closed' || e.queuePaused));
  const figure = lanes.length >= total || lanes.some(isEmpty) ? 0 : null;
  return [...lanes, ...others.map((event) => rowOf(event, figure))];
}

/** All who wait: the server counts those whose line rests after a fault apart. */
export function waitingOf(stats: Pick<QueueStats, 'waiting' | 'delayed'>): number {
  return stats.waiting + stats.delayed;
}

/**
 * Whether nothing is paused there. The server is told a message by a resume, which would end a pause, too; while one line
 * runs, the whole queue does.
 */
export function isRunning(lanes: readonly LaneRow[], eventId: number | 'all'): boolean {
  return lanes.some((l) => !l.paused && (eventId === 'all' || l.eventId === eventId));
}

function isEmpty(lane: Lane): boolean {
  return lane.waiting + lane.active + lane.standby === 0;
}

function rowOf(event: Quiet, figure: number | null): LaneRow {
  return {
    eventId: event.id,
    eventName: event.name,
    waiting: figure,
    active: figure,
    standby: figure,
    paused: event.queuePaused,
    message: event.queueMessage,
    oldestWaitingSeconds: null,
    lease: null,
  };
}
