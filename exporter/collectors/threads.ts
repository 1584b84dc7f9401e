import { isGone, SourceError, sourceError } from '../../probes/errors.ts';
import type { CpuTimes } from '../model/cpu-split.ts';
import { type ThreadCounters, ThreadPool } from '../model/pooled.ts';
import { type Role, TRACKED_ROLES } from '../model/roles.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import type { Collection, Collector, Report } from './collector.ts';
import { type Missing, readThread, type ThreadReading } from './thread-counters.ts';
import { ThreadFamilies } from './thread-families.ts';

/** State of a VM that keeps its counters monotonic. */
interface Memory {
  readonly pools: Map<Role, ThreadPool>;
  /** CPU time by mode at the previous reading, by incarnation of the thread. */
  cpu: ReadonlyMap<string, CpuTimes>;
}

/** Scheduler statistics of each VM's threads. */
export function threads(): Collector {
  const out = new ThreadFamilies();
  let memories = new Map<string, Memory>();

  return {
    name: 'threads',
    async collect(collection, report) {
      const kept: typeof memories = new Map();
      for (const { key } of collection.vms) {
        kept.set(key, memories.get(key) ?? { pools: new Map(), cpu: new Map() });
      }
      memories = kept;
      const missing: Missing = { schedstat: false, sched: false };
      for (const vm of collection.vms) {
        await collection.yieldIfDue();
        try {
          collectVm(collection, vm, kept.get(vm.key), missing, report);
        } catch (error) {
          if (!isGone(error)) report(sourceError(error, `${collection.host.roots.procfs}/${vm.pid}`));
        }
      }
      const lacks = (file: string, option: string): void =>
        report(new SourceError('absent', `/proc/<pid>/${file}`, `this kernel has no ${option}`));
      if (missing.schedstat) lacks('schedstat', 'CONFIG_SCHED_INFO');
      if (missing.sched) lacks('sched', 'CONFIG_SCHED_DEBUG');
    },
  };

  function collectVm(
    collection: Collection,
    vm: Vm,
    memory: Memory = { pools: new Map(), cpu: new Map() },
    missing: Missing,
    report: Report,
  ): void {
    const { host, families } = collection;
    const pooled = new Map<Role, Map<string, ThreadCounters>>();
    const byRole = new Map<Role, number>();
    const cpu = new Map<string, CpuTimes>();
    for (const observation of collection.observeThreads(vm)) {
      const { thread, task } = observation;
      byRole.set(thread.role, (byRole.get(thread.role) ?? 0) + 1);
      const incarnation = `${thread.tid}:${thread.startTime}`;
      const reading = readThread(host, observation, memory.cpu.get(incarnation), missing);
      if (reading === undefined) continue;
      for (const problem of reading.problems) report(problem);
      if (reading.counters.cpu !== undefined) cpu.set(incarnation, reading.counters.cpu);
      if (TRACKED_ROLES.has(thread.role)) addThread(collection, vm.label, thread, task.processor, reading);
      else {
        const group = pooled.get(thread.role) ?? new Map<string, ThreadCounters>();
        pooled.set(thread.role, group.set(incarnation, reading.counters));
      }
    }
    memory.cpu = cpu;
    for (const role of new Set([...pooled.keys(), ...memory.pools.keys()])) {
      const sum = memory.pools.get(role) ?? new ThreadPool();
      memory.pools.set(role, sum);
      out.addCounters(families, vm.label, { label: role, role }, sum.update(pooled.get(role) ?? new Map()));
    }
    families.add('kvm_vm_vcpus', { vm: vm.label }, byRole.get('vcpu') ?? 0);
    for (const [role, count] of byRole) {
      families.add('kvm_vm_threads', { vm: vm.label, role }, count);
    }
  }

  function addThread(
    { families, topology, residencyOf }: Collection,
    vm: string,
    thread: VmThread,
    processor: number,
    { counters, allowedCpus }: ThreadReading,
  ): void {
    out.addCounters(families, vm, thread, counters);
    out.addPlace(families, vm, thread, processor, topology?.nodeOf.get(processor), allowedCpus);
    const residency = residencyOf(thread);
    if (residency !== undefined) out.addResidency(families, vm, thread, residency);
  }
}
