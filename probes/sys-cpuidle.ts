import { USEC_PER_SEC } from '../kernel/units.ts';
import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

/** An idle state of a CPU, in the kernel's order: the deeper, the later. */
export interface IdleState {
  readonly index: number;
  /** `POLL`, `C1`, `C6`: the driver's name. */
  readonly name: string;
}

/** CPUIDLE_STATE_MAX of include/linux/cpuidle.h. */
const MAX_STATES = 10;
const FOLDER = /^state(\d)$/;
/** CPUIDLE_NAME_LEN. A driver may use spaces: `haltpoll idle` of cpuidle-haltpoll. */
const NAME = /^[\x20-\x7e]{1,16}$/;

/**
 * The idle states of a CPU, drivers/cpuidle/sysfs.c. They do not change while the system runs.
 *
 * @returns empty without cpuidle, as in most VMs
 * @throws SourceError
 * @see https://docs.kernel.org/admin-guide/pm/cpuidle.html
 */
export function readIdleStates(host: Host, cpu: number): IdleState[] {
  const folder = folderOf(host, cpu);
  const names = ifThere(() => host.entries(folder)) ?? [];
  const indexes = names.flatMap((name) => FOLDER.exec(name)?.[1] ?? []).map(Number);
  return indexes
    .sort((a, b) => a - b)
    .slice(0, MAX_STATES)
    .map((index) => {
      const path = `${folder}/state${index}/name`;
      const name = host.attribute(path).trim();
      if (!NAME.test(name)) throw malformed(path, name);
      return { index, name };
    });
}

/** Seconds that the CPU spent in an idle state since boot. @throws SourceError */
export function readIdleSeconds(host: Host, cpu: number, { index }: IdleState): number {
  const path = `${folderOf(host, cpu)}/state${index}/time`;
  const usec = host.decimal(path);
  if (usec === undefined) throw malformed(path, '');
  return usec / USEC_PER_SEC;
}

function folderOf(host: Host, cpu: number): string {
  return `${host.roots.sysfs}/devices/system/cpu/cpu${cpu}/cpuidle`;
}
