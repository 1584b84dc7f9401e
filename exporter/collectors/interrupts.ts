import { formatCpuList } from '../../kernel/cpu-list.ts';
import { getOrInsert } from '../../kernel/maps.ts';
import { SourceError } from '../../probes/errors.ts';
import { handlersOf, type InterruptLine, readInterrupts } from '../../probes/proc-interrupts.ts';
import { readIrqEffectiveAffinity } from '../../probes/proc-irq.ts';
import { labelBlock, withLabel } from '../metrics/labels.ts';
import { InterruptCounter } from '../model/interrupt-counter.ts';
import { interruptType, type NvmeQueue, nvmeQueues } from '../model/interrupts.ts';
import { type Collection, type Collector, guarded, type Report } from './collector.ts';

interface Queue extends NvmeQueue {
  readonly interrupts: InterruptCounter;
}

/** Types and queues found in one reading of the file. */
interface Found {
  readonly types: Set<string>;
  /** Interrupt by queue name. */
  readonly queues: Map<string, string>;
}

/** Interrupts of KVM and of NVMe queues. */
export function interrupts(): Collector {
  const types = new Map<string, InterruptCounter>();
  const queues = new Map<string, Queue>();

  return {
    name: 'interrupts',
    async collect(collection, report) {
      const found: Found = { types: new Set(), queues: new Map() };
      try {
        for (const _ of readInterrupts(collection.host, (line) => take(line, found))) {
          await collection.yieldIfDue();
        }
      } catch (error) {
        // The part of the file that fit is valid.
        if (!(error instanceof SourceError) || error.kind !== 'too_large') throw error;
        report(error);
      }
      for (const type of found.types) {
        const total = types.get(type)?.total ?? 0;
        collection.families.add('kvm_interrupts_total', { type }, total);
      }
      for (const [name, irq] of found.queues) {
        await collection.yieldIfDue();
        addQueue(collection, queues.get(name), irq, report);
      }
    },
  };

  function take({ id, cpus, counts, text }: InterruptLine, found: Found): void {
    const type = interruptType(id, text);
    if (type !== undefined) {
      getOrInsert(types, type, () => new InterruptCounter()).take(id, cpus, counts);
      found.types.add(type);
    }
    // A shared interrupt line counts for each of its queues, because the kernel does not record which queue
    // raised it.
    for (const { controller, queue } of nvmeQueues(handlersOf(text))) {
      const name = `${controller}q${queue}`;
      const start = (): Queue => ({ controller, queue, interrupts: new InterruptCounter() });
      getOrInsert(queues, name, start).interrupts.take(id, cpus, counts);
      found.queues.set(name, id);
    }
  }
}

function addQueue(
  { host, families }: Collection,
  queue: Queue | undefined,
  irq: string,
  report: Report,
): void {
  if (queue === undefined) return;
  const labels = labelBlock({ controller: queue.controller, queue: queue.queue });
  families.add('kvm_nvme_queue_interrupts_total', labels, queue.interrupts.total);
  guarded(`${host.roots.procfs}/irq/${irq}`, report, () => {
    const cpus = formatCpuList(readIrqEffectiveAffinity(host, irq));
    families.add('kvm_nvme_queue_affinity_info', withLabel(labels, 'cpus', cpus), 1);
  });
}
