import { parseArgs } from 'node:util';
import { readDatabase } from './src/database.mjs';
import { add, addBulk } from './src/adding.mjs';
import { memory } from './src/memory.mjs';
import { naive } from './src/naive.mjs';
import { position, positionByLpos } from './src/position.mjs';
import { processNothing, processPostgres, processReserve } from './src/processing.mjs';
import { checkRedis, readRedis } from './src/redis.mjs';
import { recovery } from './src/recovery.mjs';
import { giveUp, report } from './src/report.mjs';

const MEASURES = {
  add: { run: add, count: 20_000, limitSeconds: 120, redis: true },
  'add-bulk': { run: addBulk, count: 50_000, limitSeconds: 120, redis: true },
  process: { run: processNothing, count: 20_000, limitSeconds: 180, redis: true },
  'process-postgres': { run: processPostgres, count: 10_000, limitSeconds: 300, redis: true, database: true },
  'process-reserve': { run: processReserve, count: 10_000, limitSeconds: 300, redis: true, database: true },
  position: { run: position, count: 100_000, limitSeconds: 120, redis: true },
  'position-lpos': { run: positionByLpos, count: 100_000, limitSeconds: 120, redis: true },
  recovery: { run: recovery, count: 8, limitSeconds: 240, redis: true },
  memory: { run: memory, count: 100_000, limitSeconds: 120, redis: true },
  naive: { run: naive, count: 2_000, limitSeconds: 180, database: true },
};

const HELP = `Measures BullMQ on a given Redis; prints one line of JSON per result.

  node peer.mjs --redis <unix socket or url> --measure <name> [--count N]

  --redis      path of a unix socket, or redis://…; not for "naive"
  --measure    ${Object.keys(MEASURES).join(', ')}
  --count      how many jobs; for "recovery" how many workers are killed, for "naive" how many bookings
  --database   postgres://… or a socket directory; for "process-postgres", "process-reserve" and "naive"
  --port, --user, --name   with a socket directory: the server's port, the role, the database
  --limit      seconds after which the measure is given up`;

const OPTIONS = {
  redis: { type: 'string' },
  measure: { type: 'string' },
  count: { type: 'string' },
  database: { type: 'string' },
  port: { type: 'string' },
  user: { type: 'string' },
  name: { type: 'string' },
  limit: { type: 'string' },
  help: { type: 'boolean' },
};

function readCount(text, option) {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`--${option} must be a whole number above 0`);
  return count;
}

function readMeasure(values) {
  if (!values.measure) throw new Error('--measure is missing; see --help');
  if (!Object.hasOwn(MEASURES, values.measure)) throw new Error(`there is no measure "${values.measure}"; see --help`);
  const measure = MEASURES[values.measure];
  for (const needed of ['redis', 'database']) {
    if (measure[needed] && !values[needed]) throw new Error(`"${values.measure}" needs --${needed}`);
  }
  return measure;
}

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return console.log(HELP);
  const measure = readMeasure(values);
  const seconds = readCount(values.limit ?? measure.limitSeconds, 'limit');
  setTimeout(() => giveUp(`"${values.measure}" was given up after ${seconds} s`), seconds * 1_000).unref();
  const settings = {
    name: values.measure,
    count: readCount(values.count ?? measure.count, 'count'),
    redis: measure.redis && readRedis(values.redis),
    database: measure.database && readDatabase(values),
  };
  if (settings.redis) await checkRedis(settings.redis);
  await measure.run(settings, (result) => report(values.measure, result));
}

main().catch(giveUp);
