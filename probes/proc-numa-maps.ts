import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/** Bytes of a process's memory on each NUMA node. */
export type NumaPages = ReadonlyMap<number, number>;

/** A line has about 80 bytes, a VM about a hundred lines. */
const CAP = 4 * 1024 * 1024;
const FORMAT = '/proc/<pid>/numa_maps';

/**
 * Parses `/proc/<pid>/numa_maps`, fs/proc/task_mmu.c show_numa_map(): `N<node>=<pages>` in units of
 * `kernelpagesize_kB`, the last field of the line. A transparent huge page counts as small pages. A file name
 * cannot be mistaken for a count: the kernel escapes spaces and `=` in it.
 *
 * @returns the sum over all mappings; empty for a kernel thread or a zombie
 * @throws SourceError malformed
 * @see https://docs.kernel.org/filesystems/proc.html
 * @example parseNumaMaps('7f2c00000000 default anon=512 dirty=512 N0=500 N1=12 kernelpagesize_kB=4\n')
 */
export function parseNumaMaps(text: string): NumaPages {
  const bytes = new Map<number, number>();
  if (text !== '' && !text.endsWith('\n')) throw malformed(FORMAT, text.slice(text.lastIndexOf('\n') + 1));
  for (const line of text.split('\n')) {
    const size = /^[^ ]+ .* kernelpagesize_kB=(\d{1,9})$/.exec(line)?.[1];
    const counts = [...line.matchAll(/ N(\d{1,4})=(\d{1,15})(?= |$)/g)];
    if (counts.length === 0) continue;
    if (size === undefined) throw malformed(FORMAT, line);
    for (const [, node, pages] of counts) {
      const before = bytes.get(Number(node)) ?? 0;
      bytes.set(Number(node), before + Number(pages) * Number(size) * 1024);
    }
  }
  return bytes;
}

/**
 * The kernel walks the whole page table under mmap_lock, which takes seconds for a VM of hundreds of
 * gigabytes. Call this rarely; it reads off the main thread. A kernel without CONFIG_NUMA lacks the file.
 */
export async function readNumaMaps(host: Host, pid: number, timeoutMs: number): Promise<NumaPages> {
  return parseNumaMaps(await host.slowText(`${host.roots.procfs}/${pid}/numa_maps`, CAP, timeoutMs));
}
