import { setTimeout as sleep } from 'node:timers/promises';

/** Far longer than anything takes on a busy machine, and far shorter than the runner's timeout. */
export const PATIENCE_MS = 60_000;

/** CPU time of this process, which does not depend on other processes on a busy machine. */
export async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Waits for a lasting state. @throws Error on a timeout */
export async function until(
  condition: () => boolean | Promise<boolean>,
  otherwise = String(condition),
): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; !(await condition()); await sleep(5))
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${otherwise}`);
}
