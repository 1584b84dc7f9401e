import { cpuCountOf, cpusOf } from '../kernel/cpu-list.ts';
import { malformed } from './errors.ts';

/**
 * Parses a CPU list of a kernel file.
 *
 * @returns CPU numbers, ascending and unique
 * @throws SourceError malformed
 */
export function parseCpuList(text: string): number[] {
  const cpus = cpusOf(text);
  if (cpus === undefined) throw malformed('CPU list', text);
  return cpus;
}

/**
 * Counts the CPUs of a mask without building an array.
 *
 * @throws SourceError malformed
 */
export function countCpuList(text: string): number {
  const count = cpuCountOf(text);
  if (count === undefined) throw malformed('CPU list', text);
  return count;
}
