import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Order, Reply } from './messages.ts';

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));
/** Time to load hundreds of test files on a busy machine. */
const LOAD_MS = 180_000;

type Kind<K extends Reply['kind']> = Extract<Reply, { kind: K }>;

/** The worker exited, or was killed because it did not respond. */
export class Lost extends Error {
  constructor(readonly how: 'ended' | 'timed out') {
    super(`the worker ${how}`);
  }
}

export interface WorkerFiles {
  /** URLs that end with a slash. */
  readonly dist: string;
  readonly instrumented: string;
  /** URLs of test files. */
  readonly tests: readonly string[];
}

export class TestWorker {
  readonly #child: ChildProcess;

  /** @param staticMutant is enabled from the start, while files are loaded */
  constructor({ dist, instrumented, tests }: WorkerFiles, staticMutant = '') {
    this.#child = fork(WORKER, [dist, instrumented, staticMutant, ...tests], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
  }

  /** @throws Lost */
  ready(): Promise<Kind<'ready'>> {
    return this.#reply('ready', LOAD_MS);
  }

  /** @throws Lost */
  request<K extends 'measured' | 'tried'>(order: Order, kind: K, withinMs: number): Promise<Kind<K>> {
    const reply = this.#reply(kind, withinMs);
    this.#child.send(order);
    return reply;
  }

  /** Lets the worker remove its files, and kills it on a timeout. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    this.#child.send({ kind: 'end' } satisfies Order, () => undefined);
    await ended;
    clearTimeout(timer);
  }

  #reply<K extends Reply['kind']>(kind: K, withinMs: number): Promise<Kind<K>> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
      };
      const onMessage = (reply: Reply): void => {
        if (reply.kind !== kind) return;
        settle();
        resolve(reply as Kind<K>);
      };
      const onExit = (): void => {
        settle();
        reject(new Lost('ended'));
      };
      const timer = setTimeout(() => {
        settle();
        child.kill('SIGKILL');
        reject(new Lost('timed out'));
      }, withinMs);
      child.on('message', onMessage);
      child.once('exit', onExit);
    });
  }
}
