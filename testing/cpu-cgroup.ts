import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { canRunGuests, type Guest } from './qemu.ts';
import { has } from './tools.ts';

const V1 = '/sys/fs/cgroup/cpu';
const V2 = '/sys/fs/cgroup';

export interface Cgroup {
  /** Gives it a quota of so many microseconds of each 100 ms, or none. */
  limit(microseconds: number | undefined): void;
  /** Gives it the largest share of a CPU, so that it waits for no other program. */
  prefer(): void;
  /** The kernel's own count in seconds. */
  throttled(): number;
}

/** A cgroup for a guest, without a quota. It is removed when the test ends. */
export function cgroupOf(context: TestContext, { pid }: Pick<Guest, 'pid'>, name: string): Cgroup {
  const isV1 = existsSync(`${V1}/cpu.cfs_quota_us`);
  // A run that was killed leaves its cgroup.
  const folder = `${isV1 ? V1 : V2}/${name}-${process.pid}`;
  mkdirSync(folder);
  context.after(() => remove(folder));
  writeFileSync(`${folder}/cgroup.procs`, String(pid));
  return {
    limit: (microseconds) => {
      if (isV1) writeFileSync(`${folder}/cpu.cfs_quota_us`, String(microseconds ?? -1));
      else writeFileSync(`${folder}/cpu.max`, `${microseconds ?? 'max'} 100000`);
    },
    prefer: () => {
      if (isV1) writeFileSync(`${folder}/cpu.shares`, '262144');
      else writeFileSync(`${folder}/cpu.weight`, '10000');
    },
    throttled: () => {
      const text = readFileSync(`${folder}/cpu.stat`, 'utf8');
      const [, usec] = /^throttled_usec (\d+)$/m.exec(text) ?? [];
      const [, nsec] = /^throttled_time (\d+)$/m.exec(text) ?? [];
      return usec === undefined ? Number(nsec) / 1e9 : Number(usec) / 1e6;
    },
  };
}

/** The kernel removes a process from its cgroup some time after its end. */
async function remove(folder: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      await sleep(50);
    }
  }
  throw new Error(`${folder} is still in use`);
}

/** Whether guests can run in cgroups with a CPU quota here. */
export function canLimit(context: TestContext): boolean {
  return canRunGuests(context) && hasCpuController(context);
}

/** Whether processes can run in cgroups with a CPU quota here. */
export function hasCpuController(context: TestContext): boolean {
  const isV2 = existsSync(`${V2}/cgroup.subtree_control`);
  const hasCpu = isV2
    ? readFileSync(`${V2}/cgroup.subtree_control`, 'utf8').includes('cpu')
    : existsSync(`${V1}/cpu.cfs_quota_us`);
  const isRoot = process.geteuid?.() === 0;
  return has(context, hasCpu && isRoot, 'root and the cpu controller: enable it below /sys/fs/cgroup');
}
