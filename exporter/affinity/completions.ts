import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readInterrupts } from '../../probes/proc-interrupts.ts';
import { readIrqEffectiveAffinity } from '../../probes/proc-irq.ts';
import type { Disk } from '../../probes/sys-block.ts';
import { readHardwareQueues } from '../../probes/sys-block-queue.ts';

/** CPUs that take the completion interrupt, by the CPU that submits. */
export type CompletionCpus = ReadonlyMap<number, readonly number[]>;

const NVME_QUEUE = /^(nvme\d+)q(\d+)$/;

/**
 * Where an NVMe disk's requests complete. Hardware queue N of blk-mq is the controller's queue N+1, as queue 0 is for
 * administration (drivers/nvme/host/pci.c); a disk of another kind is not in the result.
 *
 * @returns by name of the disk
 * @throws SourceError
 */
export function readCompletionCpus(host: Host, disks: readonly Disk[]): Map<string, CompletionCpus> {
  const nvme = disks.filter(({ controllers, hidden }) => controllers.length > 0 && !hidden);
  if (nvme.length === 0) return new Map();
  const interrupts = new Map<string, readonly number[]>();
  for (const { id, action } of readInterrupts(host, (_, name) => NVME_QUEUE.test(name))) {
    const cpus = ifThere(() => readIrqEffectiveAffinity(host, id));
    if (cpus !== undefined) interrupts.set(action, cpus);
  }
  return new Map(nvme.map((disk) => [disk.name, completionsOf(host, disk, interrupts)]));
}

function completionsOf(
  host: Host,
  disk: Disk,
  interrupts: ReadonlyMap<string, readonly number[]>,
): CompletionCpus {
  const completions = new Map<number, readonly number[]>();
  const carriers = disk.paths.length > 0 ? disk.paths : [disk.name];
  for (const [i, carrier] of carriers.entries()) {
    const controller = disk.controllers[i] ?? disk.controllers[0];
    for (const { queue, cpus } of readHardwareQueues(host, carrier)) {
      // A queue for polling has no interrupt.
      const takers = interrupts.get(`${controller}q${queue + 1}`);
      if (takers === undefined) continue;
      for (const cpu of cpus)
        completions.set(cpu, [...new Set([...(completions.get(cpu) ?? []), ...takers])]);
    }
  }
  return completions;
}
