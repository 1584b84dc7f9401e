import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Daemon } from './daemon.ts';
import { fetchMetrics } from './http.ts';

const OPENED = /openat\(AT_FDCWD(?:<[^>]*>)?, "([^"]+)", ([A-Z_|0-9]+).*\) = \d+/g;

/**
 * The files under the root that one scrape opens, according to strace.
 * @param daemon a warm daemon that only serves scrapes
 */
export async function filesOfAScrape(daemon: Daemon, rootfs: string, scratch: string): Promise<string[]> {
  const trace = `${scratch}/strace.txt`;
  const args = ['-f', '-s', '4096', '-e', 'trace=openat', '-o', trace, '-p', String(daemon.pid)];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => strace.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    strace.once('error', () => reject(new Error('strace is needed to see which files a scrape reads')));
    strace.stderr.on('data', (text: Buffer) => {
      if (text.includes('attached')) resolve();
    });
    strace.once('close', () => reject(new Error('strace could not attach')));
  });
  await fetchMetrics(daemon.port, false);
  strace.kill('SIGINT');
  await ended;
  return openedFiles(readFileSync(trace, 'latin1'), rootfs);
}

/** The files under the root in the output of strace, which doubles each backslash: systemd's cgroups have some. */
export function openedFiles(trace: string, rootfs: string): string[] {
  const root = rootfs.endsWith('/') ? rootfs : `${rootfs}/`;
  const files = new Set<string>();
  for (const [, escaped = '', flags = ''] of trace.matchAll(OPENED)) {
    const path = escaped.replaceAll('\\\\', '\\');
    if (path.startsWith(root) && !flags.includes('O_DIRECTORY')) files.add(path);
  }
  return [...files];
}
