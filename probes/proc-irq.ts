import { parseCpuList } from './cpu-list.ts';
import type { Host } from './host.ts';

/**
 * Reads `/proc/irq/<irq>/effective_affinity_list`, kernel/irq/proc.c: the CPUs to which the interrupt is
 * delivered. They may be fewer than the requested mask.
 *
 * @param irq the number as in /proc/interrupts
 * @returns CPU numbers
 */
export function readIrqEffectiveAffinity(host: Host, irq: string): number[] {
  return parseCpuList(host.attribute(`${host.roots.procfs}/irq/${irq}/effective_affinity_list`));
}
