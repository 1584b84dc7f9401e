import { ifThere } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { handlersOf, readInterrupts } from '../../../probes/proc-interrupts.ts';
import { readIrqEffectiveAffinity } from '../../../probes/proc-irq.ts';
import type { Disk } from '../../../probes/sys-block.ts';
import { readHardwareQueues } from '../../../probes/sys-block-queue.ts';
import { nvmeQueues } from '../../model/interrupts.ts';

/** CPUs that take the completion interrupt, by submitting CPU. */
export type CompletionCpus = ReadonlyMap<number, readonly number[]>;

/**
 * The CPUs on which an NVMe disk's requests complete. Hardware queue N of blk-mq is the controller's queue
 * N+1, as queue 0 is the admin queue (drivers/nvme/host/pci.c). A multipath disk completes at the controllers
 * of all its paths. Other kinds of disks are not in the result.
 *
 * @returns by name of the disk
 * @throws SourceError
 */
export function readCompletionCpus(host: Host, disks: readonly Disk[]): Map<string, CompletionCpus> {
  const nvme = disks.filter(({ controllers, hidden }) => controllers.length > 0 && !hidden);
  if (nvme.length === 0) return new Map();
  const interrupts = new Map<string, readonly number[]>();
  const lines = new Map<string, string>();
  const all = readInterrupts(host, ({ id, text }) => {
    for (const { controller, queue } of nvmeQueues(handlersOf(text))) lines.set(`${controller}q${queue}`, id);
  });
  for (const _ of all);
  for (const [queue, irq] of lines) {
    const cpus = ifThere(() => readIrqEffectiveAffinity(host, irq));
    if (cpus !== undefined) interrupts.set(queue, cpus);
  }
  return new Map(nvme.map((disk) => [disk.name, completionsOf(host, disk, interrupts)]));
}

function completionsOf(
  host: Host,
  disk: Disk,
  interrupts: ReadonlyMap<string, readonly number[]>,
): CompletionCpus {
  const completions = new Map<number, readonly number[]>();
  for (const { name, controller } of disk.carriers) {
    for (const { queue, cpus } of readHardwareQueues(host, name)) {
      // A polled queue has no interrupt.
      const takers = interrupts.get(`${controller}q${queue + 1}`);
      if (takers === undefined) continue;
      for (const cpu of cpus)
        completions.set(cpu, [...new Set([...(completions.get(cpu) ?? []), ...takers])]);
    }
  }
  return completions;
}
