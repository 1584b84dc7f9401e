import { groupBy } from '../../kernel/maps.ts';
import { IO_THREAD_ROLES, type Role } from './roles.ts';
import type { ThreadObservation } from './vm.ts';

/** The threads that an I/O passes, by role. In a VM without I/O threads the emulator does the I/O. */
export function ioPathThreads(
  observations: readonly ThreadObservation[],
): ReadonlyMap<Role, readonly ThreadObservation[]> {
  const byRole = groupBy(observations, ({ thread }) => thread.role);
  const hasIoThreads = [...byRole.keys()].some((role) => IO_THREAD_ROLES.has(role));
  const isWanted = (role: Role): boolean =>
    role === 'vcpu' || IO_THREAD_ROLES.has(role) || (role === 'emulator' && !hasIoThreads);
  return new Map([...byRole].filter(([role]) => isWanted(role)));
}

/** The CPUs on which threads ran last, ascending. */
export function cpusOfThreads(observations: readonly ThreadObservation[]): number[] {
  return [...new Set(observations.map(({ task }) => task.processor))].sort((a, b) => a - b);
}
