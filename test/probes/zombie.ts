import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { until } from '../../testing/patience.ts';

/** Makes a process that has ended and whose parent does not wait for it. It is removed when the test ends. */
export async function zombie(context: Pick<TestContext, 'after'>): Promise<number> {
  // The shell becomes a sleep, which does not wait for the shell's child. The child ends only after that, because the
  // shell would wait for it.
  const parent = spawn('sh', ['-c', 'head -c 1 <&3 >/dev/null & echo $!; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
  });
  context.after(() => parent.kill('SIGKILL'));
  const [line] = (await (parent.stdout as Readable).take(1).toArray()) as Buffer[];
  const pid = Number(String(line));
  await until(() => readFileSync(`/proc/${parent.pid}/comm`, 'latin1') === 'sleep\n', 'no sleep');
  (parent.stdio[3] as Writable).end('.');
  await until(() => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z '), `${pid} does not end`);
  return pid;
}
