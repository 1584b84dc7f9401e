import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

type Context = Readonly<{ after(work: () => void): void }>;

const V1 = '/sys/fs/cgroup/memory';
const V2 = '/sys/fs/cgroup';
const MIB = 1024 * 1024;
const TRIES = 100;
const WAIT_MS = 50;

/** A cgroup with a memory limit. */
export interface MemoryCgroup {
  /** A process writes its id here to enter. */
  readonly procs: string;
  limit(mib: number): void;
  /** What it has, without the page cache: the kernel cannot reclaim it where there is no swap. */
  lastingMiB(): number;
}

/** @returns undefined where this process cannot make one */
export function memoryCgroup(context: Context, mib: number): MemoryCgroup | undefined {
  const isV1 = existsSync(`${V1}/memory.limit_in_bytes`);
  if (!isV1 && !controllers().includes('memory')) return undefined;
  const folder = `${isV1 ? V1 : V2}/kt-memory-${process.pid}`;
  try {
    mkdirSync(folder);
  } catch {
    return undefined;
  }
  context.after(() => remove(folder));
  const [limit, usage, cache] = isV1
    ? ['memory.limit_in_bytes', 'memory.usage_in_bytes', /^total_cache (\d+)$/m]
    : ['memory.max', 'memory.current', /^file (\d+)$/m];
  const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8');
  const cgroup: MemoryCgroup = {
    procs: `${folder}/cgroup.procs`,
    limit: (most) => writeFileSync(`${folder}/${limit}`, String(Math.round(most * MIB))),
    lastingMiB: () => (Number(read(usage)) - Number(cache.exec(read('memory.stat'))?.[1] ?? 0)) / MIB,
  };
  cgroup.limit(mib);
  return cgroup;
}

function controllers(): readonly string[] {
  const file = `${V2}/cgroup.subtree_control`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : [];
}

/** The kernel removes a process from its cgroup some time after its end. Without a promise, for handlers of `exit`. */
function remove(folder: string): void {
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < TRIES; i++) {
    try {
      rmdirSync(folder);
      return;
    } catch {
      Atomics.wait(waiting, 0, 0, WAIT_MS);
    }
  }
}
