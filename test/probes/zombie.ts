import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** Makes a process that has ended and whose parent does not wait for it; gone when the test ends. */
export async function zombie(context: Pick<TestContext, 'after'>): Promise<number> {
  // The shell turns into a sleep, which knows nothing of the shell's child.
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  context.after(() => parent.kill('SIGKILL'));
  const [line] = (await parent.stdout.take(1).toArray()) as Buffer[];
  const pid = Number(String(line));
  while (!readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')) await sleep(5);
  return pid;
}
