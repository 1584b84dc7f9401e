import { decimalAt, decimalEnd } from './decimal.ts';
import { malformed } from './errors.ts';

/** Larger than any CONFIG_NR_CPUS in use (8192 on x86). A larger number is malformed input. */
const MAX_CPU = 65_535;

/**
 * Parses the kernel's list format (`%*pbl`), as in `/sys/devices/system/cpu/online` and `Cpus_allowed_list`.
 * Also accepts the `0, 1` of `/sys/block/X/mq/N/cpu_list`.
 *
 * @returns CPU numbers, ascending and unique; empty for an empty list
 * @throws SourceError malformed
 * @see https://docs.kernel.org/admin-guide/kernel-parameters.html#cpu-lists
 * @example parseCpuList('0-3,8\n') // [0, 1, 2, 3, 8]
 */
export function parseCpuList(text: string): number[] {
  const list = text.trim();
  if (list === '') return [];
  const ranges = list.split(',').map((part) => parseRange(part.trim(), text));
  ranges.sort((a, b) => a.first - b.first);
  const cpus: number[] = [];
  let next = 0;
  for (const { first, last } of ranges) {
    for (let cpu = Math.max(first, next); cpu <= last; cpu++) cpus.push(cpu);
    next = Math.max(next, last + 1);
  }
  return cpus;
}

interface Range {
  readonly first: number;
  readonly last: number;
}

function parseRange(range: string, text: string): Range {
  const dash = decimalEnd(range, 0);
  const first = decimalAt(range, 0);
  if (dash === 0 || first > MAX_CPU) throw malformed('CPU list', text);
  if (dash === range.length) return { first, last: first };
  const last = decimalAt(range, dash + 1);
  const end = decimalEnd(range, dash + 1);
  const isRange = range[dash] === '-' && end === range.length && end > dash + 1;
  if (!isRange || last < first || last > MAX_CPU) throw malformed('CPU list', text);
  return { first, last };
}

/** Formats ascending CPU numbers as the kernel does: `[0, 1, 2, 8]` gives `0-2,8`. */
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

/**
 * Counts the CPUs of a list without building an array: `0-3,8` is 5. Accepts only what the kernel writes for
 * a mask: ascending, no overlap, no white space.
 *
 * @throws SourceError malformed
 */
export function countCpuList(text: string): number {
  if (text === '') return 0;
  let count = 0;
  let next = 0;
  for (let at = 0; ; ) {
    const first = decimalAt(text, at);
    let last = first;
    let end = decimalEnd(text, at);
    if (end === at || first < next) throw malformed('CPU list', text);
    if (text[end] === '-') {
      at = end + 1;
      last = decimalAt(text, at);
      end = decimalEnd(text, at);
    }
    if (end === at || last < first || last > MAX_CPU) throw malformed('CPU list', text);
    count += last - first + 1;
    if (end === text.length) return count;
    if (text[end] !== ',') throw malformed('CPU list', text);
    next = last + 1;
    at = end + 1;
  }
}
