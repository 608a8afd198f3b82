import { openPool, withTables } from './database.mjs';
import { inParallel } from './parallel.mjs';
import { pace, secondsOf } from './report.mjs';

const CLIENTS = 20;
const EVENT = 1;
const COUNT_SEATS = { name: 'count', text: 'select remaining from peer.events where id = $1' };
const TAKE_SEAT = { name: 'take', text: 'update peer.events set remaining = $2 where id = $1' };
const BOOK = { name: 'book', text: 'insert into peer.bookings (event_id, user_id, quantity) values ($1, $2, 1)' };
/** Serialization failure and deadlock: PostgreSQL asks for the transaction again. */
const RETRIED = new Set(['40001', '40P01']);

async function book(client, user) {
  await client.query('begin isolation level serializable');
  const { rows } = await client.query(COUNT_SEATS, [EVENT]);
  if (rows[0].remaining < 1) throw new Error('sold out');
  await client.query(TAKE_SEAT, [EVENT, rows[0].remaining - 1]);
  await client.query(BOOK, [EVENT, user]);
  await client.query('commit');
}

/** Books, again and again until it is done; returns how often it had to begin anew. */
async function bookUntilDone(client, user) {
  for (let retries = 0; ; retries++) {
    try {
      await book(client, user);
      return retries;
    } catch (error) {
      await client.query('rollback');
      if (!RETRIED.has(error.code)) throw error;
    }
  }
}

async function bookAll(pool, count) {
  let retries = 0;
  await pool.query('insert into peer.events (id, remaining) values ($1, $2)', [EVENT, count]);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => pool.connect()));
  const free = [...clients];
  const bookOne = async (index) => {
    const client = free.pop();
    const again = await bookUntilDone(client, index + 1);
    retries += again;
    free.push(client);
  };
  const seconds = await secondsOf(() => inParallel(CLIENTS, count, bookOne)).finally(() =>
    clients.forEach((client) => client.release()),
  );
  await checkSoldOut(pool, count);
  return { peer: 'postgresql', version: await serverVersion(pool), ...pace(count, seconds), clients: CLIENTS, retries };
}

async function serverVersion(pool) {
  const { rows } = await pool.query("select current_setting('server_version') as version");
  return rows[0].version;
}

async function checkSoldOut(pool, count) {
  const { rows } = await pool.query(
    'select remaining, (select count(*)::int from peer.bookings) as booked from peer.events where id = $1',
    [EVENT],
  );
  const { remaining, booked } = rows[0];
  if (remaining !== 0 || booked !== count) throw new Error(`${booked} of ${count} booked, ${remaining} seats left`);
}

/** Bookings without any queue: one serializable transaction each, all on the one row that counts seats. */
export async function naive({ database, count }, report) {
  const pool = openPool(database, CLIENTS);
  try {
    await withTables(pool, async () => report(await bookAll(pool, count)));
  } finally {
    await pool.end();
  }
}
