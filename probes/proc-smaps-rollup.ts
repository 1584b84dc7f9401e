import { malformed } from './errors.ts';
import type { Host } from './host.ts';

const MAX_FILE = 64 * 1024;
const KIB = 1024;
/** Of anonymous memory, of a memfd or tmpfs, of a file. */
const HUGE = /^(?:AnonHugePages|ShmemPmdMapped|FilePmdMapped): *(\d{1,15}) kB$/gm;

/**
 * Parses `/proc/<pid>/smaps_rollup`, fs/proc/task_mmu.c show_smaps_rollup().
 *
 * @returns bytes in transparent huge pages
 * @throws SourceError malformed
 */
export function parseTransparentHugePages(text: string): number {
  const found = [...text.matchAll(HUGE)].map(([, kib]) => Number(kib) * KIB);
  if (found.length === 0) throw malformed('/proc/<pid>/smaps_rollup', text);
  return found.reduce((sum, each) => sum + each, 0);
}

/** The kernel walks all page tables: 70 ms for each GiB in small pages. @throws SourceError */
export async function readTransparentHugePages(host: Host, pid: number, timeoutMs: number): Promise<number> {
  const path = `${host.roots.procfs}/${pid}/smaps_rollup`;
  return parseTransparentHugePages(await host.slowText(path, MAX_FILE, timeoutMs));
}
