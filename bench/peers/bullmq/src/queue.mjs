import { Queue } from 'bullmq';
import { giveUp } from './report.mjs';

const CHUNK = 500;

/** What a booking carries. */
export function payload(index) {
  return { event: 1, user: index + 1, quantity: 1 };
}

/** A queue that no other run uses. */
export async function openQueue({ redis, name }) {
  const queue = new Queue(`peer-${name}-${process.pid}`, { connection: redis });
  // Without its connection a queue could only wait, and not even be removed.
  queue.on('error', giveUp);
  await queue.waitUntilReady();
  return queue;
}

/** Leaves nothing of a queue in Redis. */
export async function removeQueue(queue) {
  await queue.obliterate({ force: true, count: 10_000 });
  await queue.close();
}

/** Runs `act` with a queue of its own. */
export async function withQueue(settings, act) {
  const queue = await openQueue(settings);
  try {
    await act(queue);
  } finally {
    await removeQueue(queue);
  }
}

/** Adds one chunk of the jobs `from` … `from + count - 1`. */
export function addChunk(queue, chunk, count, { from = 0, data = payload } = {}) {
  const start = chunk * CHUNK;
  const length = Math.min(CHUNK, count - start);
  return queue.addBulk(Array.from({ length }, (_, index) => ({ name: 'booking', data: data(from + start + index) })));
}

/** Adds jobs chunk after chunk, so that they are in order, and returns their ids. */
export async function fill(queue, count, options) {
  const ids = [];
  for (let chunk = 0; chunk < chunksOf(count); chunk++) {
    for (const job of await addChunk(queue, chunk, count, options)) ids.push(job.id);
  }
  return ids;
}

/** How many chunks so many jobs make. */
export function chunksOf(count) {
  return Math.ceil(count / CHUNK);
}
