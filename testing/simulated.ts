import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { SimulatedHost } from '../lab/simhost/host.ts';
import { ROOT } from './daemon.ts';
import { parseSamples, type Samples } from './metrics.ts';

/** A folder for the tree, in memory if possible. It is removed when the test ends. */
export function simulatedRoot(context: Pick<TestContext, 'after'>): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kt-sim-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes the host into a folder and serves its sockets. @returns the path for `--path.rootfs` */
export async function served(context: Pick<TestContext, 'after'>, host: SimulatedHost): Promise<string> {
  const folder = simulatedRoot(context);
  host.writeTo(folder);
  await host.serve();
  context.after(() => host.close());
  return folder;
}

/** One scrape of the built exporter. Not synchronous: the monitors run in this process. */
export async function once(
  rootfs: string,
  args: readonly string[] = ['--trace.backend=off'],
): Promise<Samples> {
  const main = `${ROOT}dist/exporter/main.js`;
  const child = spawn(process.execPath, [main, 'once', `--path.rootfs=${rootfs}`, ...args], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return parseSamples(text);
}

export function steps(host: SimulatedHost, seconds: number): void {
  for (let i = 0; i < seconds; i++) host.step(1);
}

/** Names of all files and links in a folder. Links are not followed: sysfs has cycles. */
export function walk(root: string, folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      return entry.isDirectory() ? walk(root, name) : [name];
    });
}
