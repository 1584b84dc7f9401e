import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listeningPort } from '../exporter/cli/listening-port.ts';
import { ROOT } from '../testing/daemon.ts';
import { faketimeLibrary } from '../testing/faketime.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { AS_INSTALLED } from './as-installed.ts';
import { type MemoryCgroup, memoryCgroup } from './memory-cgroup.ts';
import { memory } from './process-cost.ts';

type Context = Readonly<{ after(work: () => void): void }>;

/** MemoryMax= of the unit. */
export const MEMORY_MIB = 512;

export interface SoakedDaemon {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly url: string;
  /** Its log, on a small file system of its own. */
  readonly log: string;
  /** The offset of its wall clock, for libfaketime; undefined without it. */
  readonly clock: string | undefined;
  /** In which it runs; undefined where there can be none. */
  readonly cgroup: MemoryCgroup | undefined;
  metrics(): Promise<string>;
  footprint(): { readonly rssMiB: number; readonly descriptors: number };
  /** Lines of the log at the level `warn` and above. */
  warnings(): string[];
}

/**
 * The daemon, with a log that can be filled, a clock that can jump, a namespace in which file systems can be unmounted, and the unit's limit of
 * memory.
 *
 * @param context whose work is done at the end, in reverse order
 */
export async function soakedDaemon(context: Context, more: readonly string[]): Promise<SoakedDaemon> {
  const state = temporaryFolder(context);
  const folder = temporaryFolder(context);
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'kt-soak', folder], { encoding: 'utf8' });
  if (mount.status !== 0) throw new Error(`a file system for the log: ${mount.stderr}`);
  context.after(() => spawnSync('umount', ['--lazy', folder]));
  const log = join(folder, 'log');
  const library = faketimeLibrary();
  const offset = join(state, 'offset');
  writeFileSync(offset, '+0\n');
  const clock = { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: offset, FAKETIME_CACHE_DURATION: '1' };
  const flags = [
    '--web.listen-address=127.0.0.1:0',
    '--web.enable-lifecycle',
    '--inventory.schedule=* * * * * *',
    ...more,
  ];
  const cgroup = memoryCgroup(context, MEMORY_MIB);
  const enter = `echo $$ > ${cgroup?.procs ?? '/dev/null'}; exec "$@"`;
  const wrapper = ['--mount', '--propagation', 'private', 'sh', '-c', enter, 'sh'];
  const line = [process.execPath, `${ROOT}dist/exporter/main.js`, 'serve', ...flags];
  const child = spawn('unshare', [...wrapper, ...line], {
    env: {
      PATH: process.env['PATH'],
      ...AS_INSTALLED,
      KVM_TELEMETRY_STATE_DIR: state,
      ...(library === undefined ? {} : { ...clock, FAKETIME_DONT_FAKE_MONOTONIC: '1' }),
    },
    stdio: ['ignore', openSync(log, 'a'), 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  const pid = child.pid ?? 0;
  const port = await listeningPort(child);
  if (port === undefined) throw new Error(`the daemon ended: ${readFileSync(log, 'utf8')}`);
  const url = `http://127.0.0.1:${port}`;
  return {
    child,
    pid,
    url,
    log,
    cgroup,
    clock: library === undefined ? undefined : offset,
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    footprint() {
      return { rssMiB: memory(pid).rssMiB, descriptors: readdirSync(`/proc/${pid}/fd`).length };
    },
    warnings: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => /^\{"level":[4-6]0,/.test(line)),
  };
}
