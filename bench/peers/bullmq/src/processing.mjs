import { readFileSync } from 'node:fs';
import { Worker } from 'bullmq';
import { emptyTables, openPool, withTables } from './database.mjs';
import { fill, payload, withQueue } from './queue.mjs';
import { pace } from './report.mjs';

const CONCURRENCIES = [1, 10, 50, 100, 300];
/** Jobs by which the concurrencies are compared. */
const TRIAL = 5_000;
const POOL = 10;

const read = (name) => ({ name, text: readFileSync(new URL(`../../sql/${name}.sql`, import.meta.url), 'utf8') });
const BOOK = { ...read('book'), booked: 'peer.outcomes join peer.seat_claims using (booking_id)' };
const RESERVE = { ...read('reserve'), booked: 'peer.job_outcomes join peer.open_bookings using (user_id)' };

function seatPayload(index) {
  return { ...payload(index), seat: index + 1 };
}

/** Seconds from the first completion to that of the last of `count` jobs. */
function completions(worker, count) {
  return new Promise((resolve, reject) => {
    let done = 0;
    let first = 0;
    worker.on('completed', () => {
      done += 1;
      if (done === 1) first = performance.now();
      if (done === count) resolve((performance.now() - first) / 1_000);
    });
    worker.on('failed', (job, error) => reject(error));
    worker.on('error', reject);
  });
}

/** Lets one worker, started on a full queue, do all of it. */
async function drain(queue, connection, concurrency, count, act) {
  const worker = new Worker(queue.name, act, {
    connection: { ...connection, maxRetriesPerRequest: null },
    concurrency,
    removeOnComplete: { count: 0 },
    autorun: false,
  });
  try {
    const seconds = completions(worker, count);
    worker.run().catch((error) => worker.emit('error', error));
    return await seconds;
  } finally {
    await worker.close();
  }
}

/** The pace of the concurrency that was best in a trial of each; `round` does so many jobs with so much concurrency. */
async function best(count, round) {
  const trial = Math.min(count, TRIAL);
  const tried = {};
  for (const concurrency of CONCURRENCIES) {
    tried[concurrency] = Math.round(trial / (await round(concurrency, trial)));
  }
  const concurrency = CONCURRENCIES.reduce((one, other) => (tried[other] > tried[one] ? other : one));
  return { ...pace(count, await round(concurrency, count)), concurrency, tried };
}

/** Jobs that do nothing. */
export async function processNothing(settings, report) {
  await withQueue(settings, async (queue) => {
    const round = async (concurrency, count) => {
      await fill(queue, count);
      return drain(queue, settings.redis, concurrency, count, async () => {});
    };
    report(await best(settings.count, round));
  });
}

function bookingRound({ redis }, pool, queue, { booked, ...statement }) {
  const book = async ({ id, data }) => {
    await pool.query(statement, [data.event, data.user, data.quantity, data.seat, id]);
  };
  return async (concurrency, count) => {
    await emptyTables(pool);
    await fill(queue, count, { data: seatPayload });
    const seconds = await drain(queue, redis, concurrency, count, book);
    await checkBooked(pool, booked, count);
    return seconds;
  };
}

async function processWith(statement, settings, report) {
  const pool = openPool(settings.database, POOL);
  const measure = async (queue) => report(await best(settings.count, bookingRound(settings, pool, queue, statement)));
  try {
    await withTables(pool, () => withQueue(settings, measure));
  } finally {
    await pool.end();
  }
}

/** Jobs that each write a booking, a seat claim and an outcome. */
export const processPostgres = (settings, report) => processWith(BOOK, settings, report);

/** Jobs that each write the rows that Usher writes. */
export const processReserve = (settings, report) => processWith(RESERVE, settings, report);

async function checkBooked(pool, booked, count) {
  const { rows } = await pool.query(`select count(*)::int as booked from ${booked}`);
  if (rows[0].booked !== count) throw new Error(`${rows[0].booked} bookings were written instead of ${count}`);
}
