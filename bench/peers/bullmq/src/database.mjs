import pg from 'pg';

const TABLES = `
  create schema if not exists peer;
  create table if not exists peer.events (id bigint primary key, remaining integer not null);
  create table if not exists peer.bookings (
    id bigint generated always as identity primary key,
    event_id bigint not null,
    user_id bigint not null,
    quantity integer not null,
    created_at timestamptz not null default clock_timestamp()
  );
  create table if not exists peer.seat_claims (
    event_id bigint not null,
    seat integer not null,
    booking_id bigint not null,
    primary key (event_id, seat)
  );
  create table if not exists peer.outcomes (
    job_id text primary key,
    booking_id bigint not null,
    status text not null,
    decided_at timestamptz not null default clock_timestamp()
  );`;

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
