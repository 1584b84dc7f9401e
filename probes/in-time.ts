import type { SourceError } from './errors.ts';

/**
 * Waits for work for at most `ms`. Late work keeps running, but its result is ignored.
 *
 * @param late creates the error for work that does not finish in time
 */
export async function inTime<T>(work: Promise<T>, ms: number, late: () => SourceError): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
