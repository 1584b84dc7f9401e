import { Worker } from 'node:worker_threads';

/** A comparison under way. */
export interface Comparison {
  readonly isRight: Promise<boolean>;
  /** Ends it; it is then not right. */
  cancel(): void;
}

const THREAD = new URL('./bcrypt-thread.js', import.meta.url);

/** Compares in a thread of its own, which can be ended and keeps neither the event loop nor the end of the process waiting. */
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
