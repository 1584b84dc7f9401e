import { countCpuList } from '../../probes/cpu-list.ts';
import { isGone, SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readTaskMigrations } from '../../probes/proc-task-sched.ts';
import { readTaskSchedstat } from '../../probes/proc-task-schedstat.ts';
import type { TaskStat } from '../../probes/proc-task-stat.ts';
import { readTaskStatus } from '../../probes/proc-task-status.ts';
import { vmLabels, vmRoleLabels } from '../metrics/label-sets.ts';
import { labelBlock } from '../metrics/labels.ts';
import { type ThreadCounters, ThreadPool } from '../model/pooled.ts';
import { type Role, TRACKED_ROLES } from '../model/roles.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import type { Collection, Collector, Report } from './collector.ts';
import { ThreadFamilies } from './thread-families.ts';

interface Reading {
  readonly counters: ThreadCounters;
  readonly cpusAllowedList: string;
}

/** What the scheduler does to each thread of each VM. */
export function threads(): Collector {
  const out = new ThreadFamilies();
  let pools = new Map<string, Map<Role, ThreadPool>>();

  return {
    name: 'threads',
    async collect(collection, report) {
      const kept: typeof pools = new Map();
      const sched = { absent: false };
      for (const vm of collection.vms) {
        const pool = pools.get(vm.key) ?? new Map<Role, ThreadPool>();
        kept.set(vm.key, pool);
      }
      pools = kept;
      for (const vm of collection.vms) {
        await collection.breathe();
        try {
          collectVm(collection, vm, pools.get(vm.key) ?? new Map(), sched, report);
        } catch (error) {
          if (!isGone(error)) report(sourceError(error, `${collection.host.roots.procfs}/${vm.pid}`));
        }
      }
      if (sched.absent) {
        report(new SourceError('absent', '/proc/<pid>/sched', 'this kernel has no CONFIG_SCHED_DEBUG'));
      }
    },
  };

  function collectVm(
    collection: Collection,
    vm: Vm,
    pool: Map<Role, ThreadPool>,
    sched: { absent: boolean },
    report: Report,
  ): void {
    const { host, families } = collection;
    const nodeOf = (cpu: number): number | undefined => collection.topology?.nodeOf.get(cpu);
    const pooled = new Map<Role, Map<string, ThreadCounters>>();
    const failed = new Set<Role>();
    const byRole = new Map<Role, number>();
    for (const { thread, stat } of collection.observeThreads(vm)) {
      byRole.set(thread.role, (byRole.get(thread.role) ?? 0) + 1);
      const isTracked = TRACKED_ROLES.has(thread.role);
      try {
        const reading = read(host, thread, stat, sched);
        if (isTracked) {
          out.addCounters(families, vm.label, thread, reading.counters, !sched.absent);
          out.addPlace(
            families,
            vm.label,
            thread,
            stat.processor,
            nodeOf(stat.processor),
            countCpuList(reading.cpusAllowedList),
          );
          const residency = collection.residencyOf(thread);
          if (residency !== undefined) out.addResidency(families, vm.label, thread, residency);
        } else {
          const group = pooled.get(thread.role) ?? new Map<string, ThreadCounters>();
          pooled.set(thread.role, group.set(`${thread.tid}:${thread.startTime}`, reading.counters));
        }
      } catch (error) {
        if (isGone(error)) continue;
        failed.add(thread.role);
        report(sourceError(error, thread.path));
      }
    }
    for (const role of new Set([...pooled.keys(), ...pool.keys()])) {
      // A sum without a thread that could not be read would fall.
      if (failed.has(role)) continue;
      const sum = pool.get(role) ?? new ThreadPool();
      pool.set(role, sum);
      const counters = sum.update(pooled.get(role) ?? new Map());
      out.addCounters(families, vm.label, { label: role, role }, counters, !sched.absent);
    }
    families.add('kvm_vm_vcpus', labelBlock(vmLabels, [vm.label]), byRole.get('vcpu') ?? 0);
    for (const [role, count] of byRole) {
      families.add('kvm_vm_threads', labelBlock(vmRoleLabels, [vm.label, role]), count);
    }
  }
}

function read(host: Host, thread: VmThread, stat: TaskStat, sched: { absent: boolean }): Reading {
  const { run, wait, timeslices } = readTaskSchedstat(host, thread.path);
  let migrations = 0;
  let schedMissing = false;
  if (!sched.absent) {
    try {
      migrations = readTaskMigrations(host, thread.path);
    } catch (error) {
      if (!isGone(error)) throw error;
      schedMissing = true;
    }
  }
  const status = readTaskStatus(host, thread.path);
  // The thread is there and the file is not: so it is for every thread of this kernel.
  if (schedMissing) sched.absent = true;
  return {
    counters: {
      run,
      wait,
      timeslices,
      user: Math.max(0, stat.utime - stat.guestTime),
      system: stat.stime,
      guest: stat.guestTime,
      voluntarySwitches: status.voluntarySwitches,
      involuntarySwitches: status.involuntarySwitches,
      migrations,
    },
    cpusAllowedList: status.cpusAllowedList,
  };
}
