import { Redis } from 'ioredis';

/** Connection options of BullMQ from the command line. */
export function readRedis(text) {
  return text.includes('://') ? { url: text } : { path: text };
}

/** A connection beside BullMQ's own ones, which gives up where those would try for ever. */
export async function openRedis({ url, path }) {
  const redis = new Redis(url ?? path, { lazyConnect: true, connectTimeout: 5_000, retryStrategy: () => null });
  let cause;
  redis.on('error', (error) => (cause = error));
  try {
    await redis.connect();
  } catch (error) {
    throw new Error(`Redis is not reachable: ${(cause ?? error).message}`);
  }
  return redis;
}

/** Fails unless Redis answers. */
export async function checkRedis(options) {
  const redis = await openRedis(options);
  await redis.ping();
  redis.disconnect();
}
