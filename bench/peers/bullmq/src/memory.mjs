import { setTimeout as sleep } from 'node:timers/promises';
import { fill, withQueue } from './queue.mjs';
import { openRedis } from './redis.mjs';

/** Jobs beforehand: they fill the queue's stream of events, whose length is limited and is no cost of a waiting job. */
const BEFORE = 10_000;
/** Redis gives back the buffers of idle clients within seconds. */
const SETTLE_MS = 3_000;

async function usedMemory(redis) {
  await sleep(SETTLE_MS);
  const [, bytes] = /^used_memory:(\d+)/m.exec(await redis.info('memory'));
  return Number(bytes);
}

/** Bytes of Redis per waiting job. */
export async function memory(settings, report) {
  const { count } = settings;
  const redis = await openRedis(settings.redis);
  try {
    await withQueue(settings, async (queue) => {
      await fill(queue, BEFORE);
      const before = await usedMemory(redis);
      await fill(queue, count, { from: BEFORE });
      const bytes = (await usedMemory(redis)) - before;
      report({ count, bytes, bytesPerJob: bytes / count });
    });
  } finally {
    redis.disconnect();
  }
}
