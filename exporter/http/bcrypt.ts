import { Worker } from 'node:worker_threads';

/** A comparison in progress. */
export interface Comparison {
  readonly isRight: Promise<boolean>;
  /** Stops the comparison. `isRight` then resolves to false. */
  cancel(): void;
}

const THREAD = new URL('./bcrypt-thread.js', import.meta.url);

/**
 * Compares in a worker thread, which can be terminated and blocks neither the event loop nor process exit.
 */
export function compareInThread(password: string, hash: string): Comparison {
  const thread = new Worker(THREAD, { workerData: { password, hash }, execArgv: [], env: {} });
  thread.unref();
  const isRight = new Promise<boolean>((resolve, reject) => {
    thread.once('message', (answer) => resolve(answer === true));
    thread.once('error', reject);
    thread.once('exit', () => resolve(false));
  });
  return { isRight, cancel: () => void thread.terminate() };
}
