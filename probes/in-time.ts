import type { SourceError } from './errors.ts';

/**
 * Waits for work for at most `ms`. Late work keeps running, but its result is ignored.
 *
 * @param late creates the error for work that does not finish in time
 */
export async function inTime<T>(work: Promise<T>, ms: number, late: () => SourceError): Promise<T> {
  let cancel: (() => void) | undefined;
  const timeout = new Promise<never>((_, reject) => {
    cancel = timeLimit(ms, () => reject(late()));
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    cancel?.();
    work.catch(() => undefined);
  }
}

/**
 * Calls `late` after `ms`, but only after Node.js has read the data that had arrived by then. After a time without
 * CPU, Node.js runs timers before it reads sockets.
 *
 * @returns cancels it
 */
export function timeLimit(ms: number, late: () => void): () => void {
  let isOver = false;
  const timer = setTimeout(() => {
    setImmediate(() => {
      if (!isOver) late();
    });
  }, ms);
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** A read below a process's root takes three operations for each part of its path. */
const TURNS = 64;
/** Files that never answer may occupy all threads of the pool. */
const LONGEST_MS = 5000;

/**
 * Like {@link inTime}, for work in libuv's thread pool. On a busy host threads wait for a CPU, so after `ms` the pool
 * must also have done other operations.
 *
 * @param turn does a short operation in the pool
 */
export async function inPoolTime<T>(
  work: Promise<T>,
  ms: number,
  late: () => SourceError,
  turn: () => Promise<unknown>,
): Promise<T> {
  const error = late();
  try {
    return await inTime(work, ms, () => error);
  } catch (reason) {
    if (reason !== error) throw reason;
    return inTime(Promise.race([work, turns(turn, error)]), LONGEST_MS, () => error);
  }
}

async function turns(turn: () => Promise<unknown>, error: SourceError): Promise<never> {
  for (let i = 0; i < TURNS; i++) await turn().catch(() => undefined);
  throw error;
}
