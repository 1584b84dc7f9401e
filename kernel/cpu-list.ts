import { decimalAt, decimalEnd } from './decimal.ts';

/** Larger than any CONFIG_NR_CPUS in use (8192 on x86). */
export const MAX_CPU = 65_535;

/**
 * Parses the kernel's list format (`%*pbl`), as in `/sys/devices/system/cpu/online` and `Cpus_allowed_list`.
 * Also accepts the `0, 1` of `/sys/block/X/mq/N/cpu_list`.
 *
 * @returns CPU numbers, ascending and unique; empty for an empty list; undefined for any other text
 * @see https://docs.kernel.org/admin-guide/kernel-parameters.html#cpu-lists
 * @example cpusOf('0-3,8\n') // [0, 1, 2, 3, 8]
 */
export function cpusOf(text: string): number[] | undefined {
  const list = text.trim();
  if (list === '') return [];
  const ranges: Range[] = [];
  for (const part of list.split(',')) {
    const range = rangeOf(part.trim());
    if (range === undefined) return undefined;
    ranges.push(range);
  }
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

function rangeOf(text: string): Range | undefined {
  const dash = decimalEnd(text, 0);
  const first = decimalAt(text, 0);
  if (dash === 0 || first > MAX_CPU) return undefined;
  if (dash === text.length) return { first, last: first };
  const last = decimalAt(text, dash + 1);
  const end = decimalEnd(text, dash + 1);
  const isRange = text[dash] === '-' && end === text.length && end > dash + 1;
  return isRange && first <= last && last <= MAX_CPU ? { first, last } : undefined;
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
 * @returns undefined for any other text
 */
export function cpuCountOf(text: string): number | undefined {
  if (text === '') return 0;
  let count = 0;
  let next = 0;
  for (let at = 0; ; ) {
    const first = decimalAt(text, at);
    let last = first;
    let end = decimalEnd(text, at);
    if (end === at || first < next) return undefined;
    if (text[end] === '-') {
      at = end + 1;
      last = decimalAt(text, at);
      end = decimalEnd(text, at);
    }
    if (end === at || last < first || last > MAX_CPU) return undefined;
    count += last - first + 1;
    if (end === text.length) return count;
    if (text[end] !== ',') return undefined;
    next = last + 1;
    at = end + 1;
  }
}
