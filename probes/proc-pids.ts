import { wholeDecimal } from '../kernel/decimal.ts';
import type { Host } from './host.ts';

/** Process ids in `/proc`, ascending. */
export function listPids(host: Host): number[] {
  return numbers(host.entries(host.roots.procfs));
}

/** Thread ids in `/proc/<pid>/task`, ascending: in order of creation, unless thread ids wrapped around. */
export function listTids(host: Host, pid: number): number[] {
  return numbers(host.entries(`${host.roots.procfs}/${pid}/task`));
}

function numbers(names: readonly string[]): number[] {
  const ids: number[] = [];
  for (const name of names) {
    const id = wholeDecimal(name);
    if (id !== undefined) ids.push(id);
  }
  return ids.sort((a, b) => a - b);
}
