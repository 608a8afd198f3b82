import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from './parallel.mjs';

const PROCESS = fileURLToPath(new URL('holder-process.mjs', import.meta.url));
const START_MS = 15_000;

/** Starts a process whose workers take a job and keep it until they are killed. */
export async function startHolder(connection, options) {
  const child = fork(PROCESS, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  child.send({ connection, options });
  await within(START_MS, 'the start of a worker process', once(child, 'message'));
  const holding = new Map();
  child.on('message', ({ queue, id }) => holding.get(queue)?.(id));
  return {
    open: (queue) => child.send({ queue }),
    holds: (queue) => new Promise((resolve) => holding.set(queue, resolve)),
    kill: () => child.kill('SIGKILL'),
  };
}
