import { once } from 'node:events';
import { Worker } from 'bullmq';

const never = new Promise(() => {});

function hold(queue, { connection, options }) {
  const work = async ({ id }) => {
    process.send({ queue, id });
    await never;
  };
  const worker = new Worker(queue, work, { ...options, connection: { ...connection, maxRetriesPerRequest: null } });
  worker.on('error', (error) => console.error(error));
}

// The process must not outlive the one that started it.
process.on('disconnect', () => process.exit(1));
const [settings] = await once(process, 'message');
process.on('message', ({ queue }) => hold(queue, settings));
process.send('ready');
