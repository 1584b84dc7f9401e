import { wholeDecimal } from '../kernel/decimal.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/** Memory of a process in bytes. */
export interface ProcessMemory {
  /** VmRSS: pages in memory, without those of hugetlbfs. */
  readonly resident: number;
  /** VmSwap: its private pages in swap. */
  readonly swapped: number;
  /** HugetlbPages; 0 on a kernel without hugetlbfs. */
  readonly hugetlb: number;
}

const KIB = 1024;

/**
 * Parses the memory in `/proc/<pid>/status`, fs/proc/task_mmu.c task_mem(). The kernel escapes newlines in `Name:`.
 *
 * @returns undefined for a process that ends: it has no memory any more
 * @throws SourceError malformed
 * @example parseProcessMemory('Name:\tqemu\nVmRSS:\t  142276 kB\nVmSwap:\t  0 kB\nHugetlbPages:\t  2048 kB\n')
 */
export function parseProcessMemory(text: string): ProcessMemory | undefined {
  if (!text.includes('\nVmRSS:')) return undefined;
  const [resident, swapped] = [bytes(text, 'VmRSS'), bytes(text, 'VmSwap')];
  if (resident === undefined || swapped === undefined)
    throw malformed('/proc/<pid>/status', 'no number for VmRSS or VmSwap');
  return { resident, swapped, hugetlb: bytes(text, 'HugetlbPages') ?? 0 };
}

function bytes(text: string, key: string): number | undefined {
  const written = new RegExp(`^${key}:\\t *(\\d{1,15}) kB$`, 'm').exec(text)?.[1];
  const kib = written === undefined ? undefined : wholeDecimal(written);
  return kib === undefined ? undefined : kib * KIB;
}

/** @throws SourceError */
export function readProcessMemory(host: Host, pid: number): ProcessMemory | undefined {
  return parseProcessMemory(host.attribute(`${host.roots.procfs}/${pid}/status`));
}
