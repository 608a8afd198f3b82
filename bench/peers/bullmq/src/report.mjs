import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('bullmq/package.json');

const DIGITS = 1_000;

function round(value) {
  return typeof value === 'number' ? Math.round(value * DIGITS) / DIGITS : value;
}

/** Ends the process without a result. */
export function giveUp(error) {
  console.error(error);
  process.exit(1);
}

/** Prints a result. */
export function report(measure, result) {
  const line = JSON.stringify({ peer: 'bullmq', version, measure, ...result }, (_, value) => round(value));
  process.stdout.write(`${line}\n`);
}

/** What most measures tell. */
export function pace(count, seconds) {
  return { count, seconds, perSecond: count / seconds };
}

/** Seconds that an action takes. */
export async function secondsOf(act) {
  const start = performance.now();
  await act();
  return (performance.now() - start) / 1_000;
}
