import { fill, withQueue } from './queue.mjs';
import { openRedis } from './redis.mjs';
import { pace } from './report.mjs';

const MILLISECONDS = 3_000;

/** Asks for random jobs' positions for some seconds, one after the other, and holds each answer against the truth. */
async function ask(ids, positionOf) {
  const start = performance.now();
  let asked = 0;
  for (; performance.now() - start < MILLISECONDS; asked++) {
    const expected = Math.floor(Math.random() * ids.length);
    const told = await positionOf(ids[expected]);
    if (told !== expected) throw new Error(`position ${told} was told instead of ${expected}`);
  }
  return { ...pace(asked, (performance.now() - start) / 1_000), waiting: ids.length };
}

/** The way of BullMQ's API: ids of all waiting jobs, and a search among them. */
export async function position(settings, report) {
  await withQueue(settings, async (queue) => {
    const ids = await fill(queue, settings.count);
    // Not getWaiting, which reads every job itself too.
    const positionOf = async (id) => (await queue.getRanges(['waiting'], 0, -1, true)).indexOf(id);
    report({ ...(await ask(ids, positionOf)), by: 'getRanges' });
  });
}

/** Past BullMQ's API: Redis searches BullMQ's list of waiting jobs from its end, which is the front of the queue. */
export async function positionByLpos(settings, report) {
  const redis = await openRedis(settings.redis);
  try {
    await withQueue(settings, async (queue) => {
      const ids = await fill(queue, settings.count);
      const list = queue.toKey('wait');
      const positionOf = async (id) => {
        const [index, length] = await Promise.all([redis.lpos(list, id, 'RANK', -1), redis.llen(list)]);
        return length - 1 - index;
      };
      report({ ...(await ask(ids, positionOf)), by: 'LPOS' });
    });
  } finally {
    redis.disconnect();
  }
}
