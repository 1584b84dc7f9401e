import { ifThere, type SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { handlersOf, readInterrupts } from '../../../probes/proc-interrupts.ts';
import { readIrqEffectiveAffinity } from '../../../probes/proc-irq.ts';
import type { Disk } from '../../../probes/sys-block.ts';
import { readHardwareQueues } from '../../../probes/sys-block-queue.ts';
import { nvmeQueues } from '../../model/interrupts.ts';

/** CPUs that take the completion interrupt, by submitting CPU. */
export type CompletionCpus = ReadonlyMap<number, readonly number[]>;

/** Only an administrator or irqbalance moves interrupts, and reading them is slow on a large host. */
const READ_TICKS = 30;

/** Caches the CPUs on which the requests of NVMe disks complete. */
export class Completions {
  #disks: ReadonlyMap<string, CompletionCpus> = new Map();
  #problem: SourceError | undefined;
  #ticks = 0;

  constructor(private readonly host: Host) {}

  /** The error of the last reading. */
  get problem(): SourceError | undefined {
    return this.#problem;
  }

  /** Call every second. */
  tick(disks: readonly Disk[]): void {
    if (this.#ticks++ % READ_TICKS !== 0) return;
    try {
      this.#disks = readCompletionCpus(this.host, disks);
      this.#problem = undefined;
    } catch (error) {
      this.#problem = sourceError(error, `${this.host.roots.procfs}/interrupts`);
    }
  }

  /** CPUs that take the completion interrupt of requests that these CPUs submit to the disk. */
  of(disk: string, cpus: readonly number[]): readonly number[] {
    const completions = this.#disks.get(disk);
    return completions === undefined ? [] : cpus.flatMap((cpu) => completions.get(cpu) ?? []);
  }
}

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
