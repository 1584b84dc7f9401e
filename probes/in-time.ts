import type { SourceError } from './errors.ts';

/**
 * Waits for work, but no longer than `ms`. The work goes on; what becomes of it then interests nobody.
 *
 * @param late makes the error for work that is not done in time
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
