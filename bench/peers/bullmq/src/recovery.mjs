import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'bullmq';
import { startHolder } from './holder.mjs';
import { within } from './parallel.mjs';
import { openQueue, payload, removeQueue } from './queue.mjs';

const VARIANTS = [
  // BullMQ's defaults.
  { lockDuration: 30_000, stalledInterval: 30_000 },
  { lockDuration: 10_000, stalledInterval: 10_000 },
];
const TAKE_MS = 15_000;
/** A job waits for a check that the dead worker's last one holds off, for one that marks it, for one that moves it. */
const MOST_CHECKS = 4;
const GOLDEN = 0.618;

/** A worker that is busy with a job until `release`, and then takes what comes. */
function openSuccessor(queue, connection, options) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const awaited = new Map();
  const work = async ({ id }) => {
    awaited.get(id)?.();
    await released;
  };
  const worker = new Worker(queue.name, work, {
    ...options,
    connection: { ...connection, maxRetriesPerRequest: null },
    removeOnComplete: { count: 0 },
  });
  worker.on('error', (error) => console.error(error));
  return { worker, release, has: (id) => new Promise((resolve) => awaited.set(id, resolve)) };
}

/**
 * A queue with two workers, one of them the holder's. Where between two checks for stalled jobs the kill comes decides
 * how long recovery takes, so the workers of each lane start at another time.
 */
async function openLane(settings, options, holder, nth) {
  const name = `${settings.name}-${options.stalledInterval}-${nth}`;
  const queue = await openQueue({ ...settings, name });
  const lane = { queue, name: queue.name };
  const [first, second] = [nth / settings.count, (nth * GOLDEN) % 1].map((part) => part * options.stalledInterval);
  await Promise.all([
    sleep(first).then(() => holder.open(queue.name)),
    sleep(second).then(() => (lane.successor = openSuccessor(queue, settings.redis, options))),
  ]);
  return lane;
}

async function closeLane({ queue, successor }) {
  successor.release();
  await successor.worker.close();
  await removeQueue(queue);
}

/** Gives both workers of a lane a job, which they keep; returns the id of the holder's. */
async function giveJobs({ queue, name }, holder) {
  const held = holder.holds(name);
  await queue.addBulk([0, 1].map((index) => ({ name: 'booking', data: payload(index) })));
  return within(TAKE_MS, 'taking a job', held);
}

/** Kills the holder; returns for each lane after how many seconds its other worker had the job. */
async function killAndWait(lanes, ids, holder, limit) {
  const recovered = lanes.map(({ successor }, nth) => successor.has(ids[nth]));
  const start = performance.now();
  holder.kill();
  lanes.forEach(({ successor }) => successor.release());
  const seconds = recovered.map((again) => again.then(() => (performance.now() - start) / 1_000));
  return within(limit, 'recovery', Promise.all(seconds));
}

async function recover(settings, options) {
  const holder = await startHolder(settings.redis, options);
  const lanes = [];
  try {
    const opened = Array.from({ length: settings.count }, (_, nth) => openLane(settings, options, holder, nth));
    lanes.push(...(await Promise.all(opened)));
    const ids = await Promise.all(lanes.map((lane) => giveJobs(lane, holder)));
    return await killAndWait(lanes, ids, holder, MOST_CHECKS * options.stalledInterval + options.lockDuration);
  } finally {
    holder.kill();
    await Promise.all(lanes.map(closeLane));
  }
}

function summary(samples) {
  const sorted = samples.toSorted((one, other) => one - other);
  const median = (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
  return { count: sorted.length, seconds: median, least: sorted[0], most: sorted.at(-1) };
}

/** Seconds from the SIGKILL of a worker that has a job until another one has it; the median of some kills. */
export async function recovery(settings, report) {
  const measure = async (options) => report({ ...summary(await recover(settings, options)), ...options });
  await Promise.all(VARIANTS.map(measure));
}
