import { formatCpuList } from '../../kernel/cpu-list.ts';
import { getOrInsert } from '../../kernel/maps.ts';
import { SourceError } from '../../probes/errors.ts';
import { handlersOf, type InterruptLine, readInterrupts } from '../../probes/proc-interrupts.ts';
import { readIrqEffectiveAffinity } from '../../probes/proc-irq.ts';
import type { Families } from '../metrics/families.ts';
import { withLabel } from '../metrics/labels.ts';
import { CpuCredits } from '../model/cpu-credits.ts';
import { InterruptCounter } from '../model/interrupt-counter.ts';
import {
  type InterruptKind,
  interruptKind,
  interruptType,
  isOfAllCpus,
  isSum,
  lineKey,
  type NvmeQueue,
  nvmeQueues,
} from '../model/interrupts.ts';
import { type Collection, type Collector, guarded, type Report } from './collector.ts';
import type { CpuUsers, IoPathCpus } from './io-path-cpus.ts';

interface Queue extends NvmeQueue {
  readonly interrupts: InterruptCounter;
}

/** Types and queues found in one reading of the file. */
interface Found {
  readonly types: Set<string>;
  /** Interrupt by queue name. */
  readonly queues: Map<string, string>;
  /** Counts of each CPU, by kind. */
  readonly byCpu: Map<InterruptKind, Float64Array>;
}

/** Interrupts of KVM, of NVMe queues, and on the CPUs that run vCPUs and I/O threads. */
export function interrupts(ioPathCpus: IoPathCpus): Collector {
  const credits = new CpuCredits();
  const types = new Map<string, InterruptCounter>();
  const queues = new Map<string, Queue>();

  return {
    name: 'interrupts',
    async collect(collection, report) {
      const found: Found = { types: new Set(), queues: new Map(), byCpu: new Map() };
      const users = await ioPathCpus.of(collection);
      try {
        for (const _ of readInterrupts(collection.host, (line) => take(line, found))) {
          await collection.yieldIfDue();
        }
      } catch (error) {
        // The part of the file that fit is valid.
        if (!(error instanceof SourceError) || error.kind !== 'too_large') throw error;
        report(error);
      }
      addRoles(collection.families, users, found.byCpu, credits);
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
    if (!isOfAllCpus(id) && !isSum(id, text))
      addCounts(found.byCpu, interruptKind(id, type, text), cpus, counts);
    if (type !== undefined) {
      getOrInsert(types, type, () => new InterruptCounter()).take(lineKey(id, text), cpus, counts);
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

/** Adds up lines: a file of 512 CPUs has more than a million numbers, so without a map for each. */
function addCounts(
  byCpu: Found['byCpu'],
  kind: InterruptKind,
  cpus: readonly number[],
  counts: Float64Array,
): void {
  const sums = getOrInsert(byCpu, kind, () => new Float64Array((cpus.at(-1) ?? 0) + 1));
  for (let column = 0; column < counts.length; column++) {
    const cpu = cpus[column] ?? 0;
    sums[cpu] = (sums[cpu] ?? 0) + (counts[column] ?? 0);
  }
}

function addRoles(
  families: Families,
  { roles, owners, known }: CpuUsers,
  byCpu: Found['byCpu'],
  credits: CpuCredits,
): void {
  credits.keep(known, new Set(owners.keys()));
  for (const [cpu, keys] of owners) {
    const counts = new Map([...byCpu].map(([kind, sums]) => [kind, sums[cpu] ?? 0]));
    credits.take(cpu, keys, counts);
  }
  for (const { key, vm, role } of roles)
    for (const [type, count] of credits.of(key))
      families.add('kvm_vm_cpu_interrupts_total', { vm, role, type }, count);
}

function addQueue(
  { host, families }: Collection,
  queue: Queue | undefined,
  irq: string,
  report: Report,
): void {
  if (queue === undefined) return;
  const labels = families.block({ controller: queue.controller, queue: queue.queue });
  families.add('kvm_nvme_queue_interrupts_total', labels, queue.interrupts.total);
  guarded(`${host.roots.procfs}/irq/${irq}`, report, () => {
    const cpus = formatCpuList(readIrqEffectiveAffinity(host, irq));
    families.add('kvm_nvme_queue_affinity_info', withLabel(labels, 'cpus', cpus), 1);
  });
}
