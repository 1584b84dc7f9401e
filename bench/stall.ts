import { Agent, get } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** The longest response time for a client that sends requests all the time. */
export interface StallWatch {
  /** The longest response since the last call, in seconds. */
  longest(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Requests `/-/healthy` continuously over one connection from a separate thread, because the main thread
 * receives the scrape bodies.
 */
export function watchStalls(port: number): StallWatch {
  const worker = new Worker(new URL(import.meta.url), { workerData: port });
  const failed = new Promise<never>((_, reject) => worker.once('error', reject));
  failed.catch(() => undefined);
  return {
    longest() {
      const reported = new Promise<number>((resolve) => worker.once('message', resolve));
      worker.postMessage('longest');
      return Promise.race([reported, failed]);
    },
    async stop() {
      await worker.terminate();
    },
  };
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let longest = 0;
  port.on('message', () => {
    port.postMessage(longest);
    longest = 0;
  });
  for (;;) {
    const seconds = await timeOf(agent, workerData as number);
    longest = Math.max(longest, seconds);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function timeOf(agent: Agent, port: number): Promise<number> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/-/healthy', agent }, (response) => {
      response.resume();
      response.once('end', () => resolve((performance.now() - start) / 1000));
    }).once('error', reject);
  });
}
