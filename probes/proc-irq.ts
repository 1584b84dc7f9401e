import { parseCpuList } from './cpu-list.ts';
import type { Host } from './host.ts';

/**
 * `/proc/irq/<irq>/effective_affinity_list`, kernel/irq/proc.c: the CPUs that the interrupt is really delivered to,
 * which may be fewer than the mask that was asked for.
 *
 * @param irq the number as /proc/interrupts shows it
 * @returns CPU numbers
 */
export function readIrqEffectiveAffinity(host: Host, irq: string): number[] {
  return parseCpuList(host.attribute(`${host.roots.procfs}/irq/${irq}/effective_affinity_list`));
}
