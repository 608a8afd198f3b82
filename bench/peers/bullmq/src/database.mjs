import { readFileSync } from 'node:fs';

import pg from 'pg';

const NAMES = ['events', 'bookings', 'seat_claims', 'outcomes', 'open_bookings', 'held_seats', 'job_outcomes', 'facts'];
const ALL = NAMES.map((name) => `peer.${name}`).join(', ');
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
    await pool.query(`drop table ${ALL}; drop schema peer`);
  }
}

/** Empties the tables. */
export async function emptyTables(pool) {
  await pool.query(`truncate ${ALL}`);
}
