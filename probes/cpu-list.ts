import { decimalAt, decimalEnd } from './decimal.ts';
import { malformed } from './errors.ts';

/** Above any CONFIG_NR_CPUS in use (8192 on x86): a larger number is nonsense, not a big machine. */
const MAX_CPU = 65_535;

/**
 * The kernel's list format (`%*pbl`), as in `/sys/devices/system/cpu/online` and `Cpus_allowed_list`; also the
 * `0, 1` of `/sys/block/X/mq/N/cpu_list`.
 *
 * @returns CPU numbers, ascending and unique; empty for an empty list
 * @throws SourceError malformed
 * @see https://docs.kernel.org/admin-guide/kernel-parameters.html#cpu-lists
 * @example parseCpuList('0-3,8\n') // [0, 1, 2, 3, 8]
 */
export function parseCpuList(text: string): number[] {
  const list = text.trim();
  if (list === '') return [];
  const cpus = new Set<number>();
  for (const part of list.split(',')) addRange(cpus, part.trim(), text);
  return [...cpus].sort((a, b) => a - b);
}

function addRange(cpus: Set<number>, range: string, text: string): void {
  const dash = decimalEnd(range, 0);
  const first = decimalAt(range, 0);
  if (dash === 0 || first > MAX_CPU) throw malformed('CPU list', text);
  if (dash === range.length) {
    cpus.add(first);
    return;
  }
  const last = decimalAt(range, dash + 1);
  const end = decimalEnd(range, dash + 1);
  const isRange = range[dash] === '-' && end === range.length && end > dash + 1;
  if (!isRange || last < first || last > MAX_CPU) throw malformed('CPU list', text);
  for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
}

/** Writes CPU numbers as the kernel does: `[0, 1, 2, 8]` gives `0-2,8`. Expects ascending numbers. */
export function formatCpuList(cpus: readonly number[]): string {
  const ranges: string[] = [];
  for (let i = 0; i < cpus.length; ) {
    let j = i;
    while (cpus[j + 1] === (cpus[j] ?? 0) + 1) j++;
    ranges.push(i === j ? `${cpus[i]}` : `${cpus[i]}-${cpus[j]}`);
    i = j + 1;
  }
  return ranges.join(',');
}

/** How many CPUs a list names, without making it: `0-3,8` is 5. Trusts the list to be the kernel's: ascending, no overlap. */
export function countCpuList(text: string): number {
  let count = 0;
  let at = 0;
  while (at < text.length) {
    const firstEnd = decimalEnd(text, at);
    if (firstEnd === at) throw malformed('CPU list', text);
    const first = decimalAt(text, at);
    let last = first;
    let end = firstEnd;
    if (text[end] === '-') {
      end = decimalEnd(text, firstEnd + 1);
      last = decimalAt(text, firstEnd + 1);
    }
    if (last < first || (end < text.length && text[end] !== ',')) throw malformed('CPU list', text);
    count += last - first + 1;
    at = end + 1;
  }
  return count;
}
