import { inParallel } from './parallel.mjs';
import { addChunk, chunksOf, payload, withQueue } from './queue.mjs';
import { pace, secondsOf } from './report.mjs';

const ADDERS = 50;
/** So that Redis has work while Node prepares the next chunk; more of them are no faster. */
const BULK_ADDERS = 2;
/** Jobs before the clock starts, so that scripts are loaded and code is compiled. */
const WARM_UP = 2_000;

async function checkWaiting(queue, expected) {
  const waiting = await queue.getWaitingCount();
  if (waiting !== expected) throw new Error(`${waiting} jobs wait instead of ${expected}`);
}

/** Jobs one by one, from many adders at once. */
export async function add(settings, report) {
  const { count } = settings;
  await withQueue(settings, async (queue) => {
    const addOne = (index) => queue.add('booking', payload(index));
    await inParallel(ADDERS, WARM_UP, addOne);
    const seconds = await secondsOf(() => inParallel(ADDERS, count, addOne));
    await checkWaiting(queue, WARM_UP + count);
    report({ ...pace(count, seconds), adders: ADDERS });
  });
}

/** Jobs in chunks. */
export async function addBulk(settings, report) {
  const { count } = settings;
  await withQueue(settings, async (queue) => {
    const addAll = (jobs) => inParallel(BULK_ADDERS, chunksOf(jobs), (chunk) => addChunk(queue, chunk, jobs));
    await addAll(WARM_UP);
    const seconds = await secondsOf(() => addAll(count));
    await checkWaiting(queue, WARM_UP + count);
    report({ ...pace(count, seconds), adders: BULK_ADDERS });
  });
}
