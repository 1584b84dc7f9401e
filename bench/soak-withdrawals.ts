import { execFileSync, spawn } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../testing/folder.ts';
import type { SoakedDaemon } from './soak-daemon.ts';
import { type Context, pulse, type Tally } from './soak-faults.ts';

// Faults of the soak that take away what the daemon uses: file systems of the kernel, BPF, memory.

const TRACEFS_EVERY_MS = 75_000;
const TRACEFS_MS = 8000;
const BPF_EVERY_MS = 85_000;
const BPF_MS = 7000;
const MEMORY_EVERY_MS = 65_000;
const MEMORY_MS = 6000;
/** Above what the daemon has: it must have room for what it keeps, but not for files. */
const ROOM_MIB = 64;
/** Holes of a file are read into the page cache, which counts as memory of the reader's cgroup. */
const HOLES_MIB = 512;
const MIB = 1024 * 1024;

/** Unmounts debugfs and tracefs in the daemon's mount namespace, and mounts them again. */
export function tracefsLosses(context: Context, pid: number, pace: number): Tally {
  const inside = (script: string) => (): void => {
    execFileSync('nsenter', ['--target', String(pid), '--mount', 'sh', '-c', script]);
  };
  const unmount = 'umount --recursive --lazy /sys/kernel/tracing /sys/kernel/debug';
  const mount = 'mount -t tracefs tracefs /sys/kernel/tracing && mount -t debugfs debugfs /sys/kernel/debug';
  const times = { everyMs: TRACEFS_EVERY_MS / pace, forMs: TRACEFS_MS };
  return pulse(context, times, inside(unmount), inside(mount));
}

/** Refuses each bpf(2) to the daemon, as a policy of SELinux does that is loaded later. strace also makes it slow. */
export function bpfRefusals(context: Context, pid: number, pace: number): Tally {
  const inject = ['-e', 'trace=bpf', '-e', 'inject=bpf:error=EPERM'];
  let stop = (): void => undefined;
  const begin = (): void => {
    const tracer = spawn('strace', ['-f', '-qq', '-o', '/dev/null', ...inject, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    stop = () => void tracer.kill('SIGTERM');
  };
  return pulse(context, { everyMs: BPF_EVERY_MS / pace, forMs: BPF_MS }, begin, () => stop());
}

/** Leaves the daemon little memory above what it has, and fills that with page cache again and again. */
export function memoryShortages(
  context: Context,
  cgroup: NonNullable<SoakedDaemon['cgroup']>,
  usualMiB: number,
  pace: number,
): Tally {
  const holes = join(temporaryFolder(context), 'holes');
  writeFileSync(holes, '');
  truncateSync(holes, HOLES_MIB * MIB);
  const script = 'echo $$ > "$0"; while :; do cat "$1" > /dev/null; sleep 0.2; done';
  let stop = (): void => undefined;
  const begin = (): void => {
    cgroup.limit(cgroup.lastingMiB() + ROOM_MIB);
    const reader = spawn('sh', ['-c', script, cgroup.procs, holes], { stdio: 'ignore' });
    stop = () => void reader.kill('SIGKILL');
  };
  const end = (): void => {
    stop();
    cgroup.limit(usualMiB);
  };
  return pulse(context, { everyMs: MEMORY_EVERY_MS / pace, forMs: MEMORY_MS }, begin, end);
}
