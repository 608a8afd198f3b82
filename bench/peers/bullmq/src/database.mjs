import { readFileSync } from 'node:fs';

import pg from 'pg';

const TABLES = `${readFileSync(new URL('../../sql/tables.sql', import.meta.url), 'utf8')}
  create table if not exists peer.events (id bigint primary key, remaining integer not null);`;

/** Connection options of pg from the command line. */
export function readDatabase({ database, port, user, name }) {
  if (database.includes('://')) return { connectionString: database };
  return { host: database, port: port && Number(port), user, database: name ?? user };
}

/** A pool that keeps its connections until its end. */
export function openPool(database, size) {
  const pool = new pg.Pool({
    ...database,
    max: size,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
  });
  pool.on('error', (error) => console.error(`idle connection: ${error.message}`));
  return pool;
}

/** Runs `act` with empty tables, and drops them. */
export async function withTables(pool, act) {
  await pool.query(TABLES);
  try {
    await emptyTables(pool);
    return await act();
  } finally {
    await pool.query('drop table peer.events, peer.bookings, peer.seat_claims, peer.outcomes; drop schema peer');
  }
}

/** Empties the tables. */
export async function emptyTables(pool) {
  await pool.query('truncate peer.events, peer.bookings, peer.seat_claims, peer.outcomes');
}
