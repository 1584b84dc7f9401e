import { getOrInsert } from '../../kernel/maps.ts';
import { NSEC_PER_SEC, USER_HZ } from '../../kernel/units.ts';
import type { Families } from '../metrics/families.ts';
import { type LabelBlock, labelBlock, withLabel } from '../metrics/labels.ts';
import type { ThreadCounters } from '../model/pooled.ts';
import type { Residency } from '../model/residency.ts';
import type { Role } from '../model/roles.ts';

type ThreadLabel = 'vm' | 'thread' | 'role';

interface Blocks {
  readonly vm: string;
  readonly thread: LabelBlock<ThreadLabel>;
  readonly user: LabelBlock<ThreadLabel | 'mode'>;
  readonly system: LabelBlock<ThreadLabel | 'mode'>;
  readonly guest: LabelBlock<ThreadLabel | 'mode'>;
  readonly voluntary: LabelBlock<ThreadLabel | 'type'>;
  readonly involuntary: LabelBlock<ThreadLabel | 'type'>;
  readonly cpus: Map<number, LabelBlock<ThreadLabel | 'cpu'>>;
}

interface LabelledThread {
  readonly label: string;
  readonly role: Role;
}

/**
 * Writes the samples of threads. Caches each thread's labels, because formatting them is the most expensive
 * step.
 */
export class ThreadFamilies {
  readonly #blocks = new WeakMap<LabelledThread, Blocks>();

  /** Writes the counters that are known. */
  addCounters(
    families: Families,
    vm: string,
    thread: LabelledThread,
    { schedstat, cpu, switches, migrations }: ThreadCounters,
  ): void {
    const blocks = this.#of(vm, thread);
    if (schedstat !== undefined) {
      families.add('kvm_thread_run_seconds_total', blocks.thread, schedstat.run / NSEC_PER_SEC);
      families.add('kvm_thread_wait_seconds_total', blocks.thread, schedstat.wait / NSEC_PER_SEC);
      families.add('kvm_thread_timeslices_total', blocks.thread, schedstat.timeslices);
    }
    if (cpu !== undefined) {
      families.add('kvm_thread_cpu_seconds_total', blocks.user, cpu.user / USER_HZ);
      families.add('kvm_thread_cpu_seconds_total', blocks.system, cpu.system / USER_HZ);
      if (thread.role === 'vcpu' || thread.role === 'unknown' || cpu.guest > 0) {
        families.add('kvm_thread_cpu_seconds_total', blocks.guest, cpu.guest / USER_HZ);
      }
    }
    if (switches !== undefined) {
      families.add('kvm_thread_context_switches_total', blocks.voluntary, switches.voluntary);
      families.add('kvm_thread_context_switches_total', blocks.involuntary, switches.involuntary);
    }
    if (migrations !== undefined) families.add('kvm_thread_migrations_total', blocks.thread, migrations);
  }

  addPlace(
    families: Families,
    vm: string,
    thread: LabelledThread,
    cpu: number,
    node: number | undefined,
    allowedCpus: number | undefined,
  ): void {
    const blocks = this.#of(vm, thread);
    families.add('kvm_thread_cpu', blocks.thread, cpu);
    if (node !== undefined) families.add('kvm_thread_numa_node', blocks.thread, node);
    if (allowedCpus !== undefined) families.add('kvm_thread_allowed_cpus', blocks.thread, allowedCpus);
  }

  addResidency(families: Families, vm: string, thread: LabelledThread, residency: Residency): void {
    const blocks = this.#of(vm, thread);
    families.add('kvm_thread_observed_migrations_total', blocks.thread, residency.migrations);
    for (const [cpu, seconds] of residency.secondsOn) {
      const labels = getOrInsert(blocks.cpus, cpu, () => withLabel(blocks.thread, 'cpu', String(cpu)));
      families.add('kvm_thread_cpu_residency_seconds_total', labels, seconds);
    }
    if (residency.other > 0) {
      families.add(
        'kvm_thread_cpu_residency_seconds_total',
        withLabel(blocks.thread, 'cpu', 'other'),
        residency.other,
      );
    }
  }

  #of(vm: string, thread: LabelledThread): Blocks {
    const known = this.#blocks.get(thread);
    if (known?.vm === vm) return known;
    const base = labelBlock({ vm, thread: thread.label, role: thread.role });
    const blocks: Blocks = {
      vm,
      thread: base,
      user: withLabel(base, 'mode', 'user'),
      system: withLabel(base, 'mode', 'system'),
      guest: withLabel(base, 'mode', 'guest'),
      voluntary: withLabel(base, 'type', 'voluntary'),
      involuntary: withLabel(base, 'type', 'involuntary'),
      cpus: new Map(),
    };
    this.#blocks.set(thread, blocks);
    return blocks;
  }
}
