import { USER_HZ } from '../kernel/units.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/**
 * Parses `btime` of `/proc/stat`: the host's boot time in seconds since the epoch.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat
 */
export function parseBootTime(text: string): number {
  const btime = /^btime (\d{1,15})\n/m.exec(text)?.[1];
  if (btime === undefined) throw malformed('/proc/stat', 'no btime');
  return Number(btime);
}

export function readBootTime(host: Host): number {
  return parseBootTime(host.text(`${host.roots.procfs}/stat`, 16 * 1024 * 1024));
}

/** Seconds of one CPU since boot. */
export interface CpuUse {
  /** Tasks and guests. */
  readonly busy: number;
  /** Hard and soft interrupts. */
  readonly interrupts: number;
  /** Steal: taken by the hypervisor under this host. */
  readonly steal: number;
}

const CPU_LINE = /^cpu(\d{1,5}) (\d{1,20}(?: \d{1,20})*)$/gm;

/**
 * Parses the lines of CPUs in `/proc/stat`, fs/proc/stat.c: show_stat(). `user` includes `guest`.
 *
 * @throws SourceError malformed
 */
export function parseCpuUse(text: string): Map<number, CpuUse> {
  const found = new Map<number, CpuUse>();
  for (const [, cpu, fields = ''] of text.matchAll(CPU_LINE)) {
    const [user, nice, system, , , irq, softirq, steal = 0] = fields.split(' ').map(Number);
    if (user === undefined || nice === undefined || system === undefined) continue;
    const seconds = (ticks: number): number => ticks / USER_HZ;
    found.set(Number(cpu), {
      busy: seconds(user + nice + system),
      interrupts: seconds((irq ?? 0) + (softirq ?? 0)),
      steal: seconds(steal),
    });
  }
  if (found.size === 0) throw malformed('/proc/stat', 'no CPU');
  return found;
}

export function readCpuUse(host: Host): Map<number, CpuUse> {
  return parseCpuUse(host.text(`${host.roots.procfs}/stat`, 16 * 1024 * 1024));
}
