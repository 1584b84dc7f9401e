import { addTo, groupBy } from '../../kernel/maps.ts';
import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readTaskSched, type TaskSched } from '../../probes/proc-task-sched.ts';
import { readNohzFull } from '../../probes/sys-cpu.ts';
import { readSchedExt } from '../../probes/sys-sched-ext.ts';
import type { Families } from '../metrics/families.ts';
import type { LabelBlock } from '../metrics/labels.ts';
import { CounterSets } from '../model/continued-counter.ts';
import { schedulingPolicy } from '../model/scheduling-policy.ts';
import type { ThreadObservation } from '../model/vm.ts';
import { truncateName } from '../model/vm-names.ts';
import { type Collection, type Collector, guarded, type Report } from './collector.ts';
import type { IoPathCpus, RoleCpus } from './io-path-cpus.ts';
import { Turns } from './turns.ts';

/** `sched` of a thread costs 20 us and rarely changes, so a VM's are read in one collection of so many. */
const READ_EVERY = 10;
/** SCHED_CAPACITY_SCALE of include/linux/sched.h. */
const CAPACITY = 1024;

interface ThreadSched {
  /** Id and start time. */
  readonly thread: string;
  readonly sched: TaskSched;
}

type PolicyLabels = LabelBlock<'vm' | 'role' | 'policy' | 'priority'>;

/** The threads of a role as last read. */
interface Known {
  readonly threads: readonly ThreadSched[];
  /** Sum of its counters, to see whether they grow. */
  readonly sum: number;
}

/** Scheduling of vCPUs and I/O threads, and the settings of the host that affect it. */
export function scheduling(ioPathCpus: IoPathCpus): Collector {
  const counters = new CounterSets();
  let known: ReadonlyMap<string, Known> = new Map();
  /** Roles whose counters grew at the last reading: they are read at each collection. */
  let moving: ReadonlySet<string> = new Set();
  const turns = new Turns(READ_EVERY);

  return {
    name: 'scheduling',
    async collect(collection, report) {
      const { host, families, vms } = collection;
      turns.begin();
      const isolation = isolationOf(collection, report);
      addHost(collection, isolation, report);
      const { roles } = await ioPathCpus.of(collection);
      const byVm = groupBy(roles, ({ vmKey }) => vmKey);
      const next = new Map<string, Known>();
      const grown = new Set<string>();
      counters.keep(vms.map(({ key }) => key));
      for (const [i, { key, label }] of vms.entries()) {
        const isTurn = turns.isTurnOf(i);
        let pagesMigrated: number | undefined;
        for (const role of byVm.get(key) ?? []) {
          await collection.yieldIfDue();
          addThreads(families, role, isolation);
          const last = known.get(role.key);
          const isDue = last === undefined || isTurn || moving.has(role.key);
          const threads = isDue ? readThreads(host, role.threads, report) : last.threads;
          addLimits(families, role, threads);
          const forcedIdle = counted(role, 'forced idle', threads, (sched) => sched.forcedIdleSeconds);
          const pages = counted(role, 'pages', threads, (sched) => sched.numaPagesMigrated);
          if (forcedIdle !== undefined)
            families.add('kvm_vm_forced_idle_seconds_total', { vm: label, role: role.role }, forcedIdle);
          if (pages !== undefined) pagesMigrated = (pagesMigrated ?? 0) + pages;
          const sum = (forcedIdle ?? 0) + (pages ?? 0);
          next.set(role.key, { threads, sum });
          if (last !== undefined && sum > last.sum) grown.add(role.key);
        }
        if (pagesMigrated !== undefined)
          families.add('kvm_vm_numa_pages_migrated_total', { vm: label }, pagesMigrated);
      }
      known = next;
      moving = grown;
    },
  };

  /** undefined if no thread has the value. */
  function counted(
    { vmKey, role }: RoleCpus,
    name: string,
    threads: readonly ThreadSched[],
    of: (sched: TaskSched) => number | undefined,
  ): number | undefined {
    const parts = threads.flatMap(({ thread, sched }): [string, number][] => {
      const value = of(sched);
      return value === undefined ? [] : [[thread, value]];
    });
    return parts.length === 0 ? undefined : counters.of(vmKey).take(`${role} ${name}`, 'sched', parts);
  }
}

/** CPUs that the scheduler does not use, by kind. */
type Isolation = ReadonlyMap<string, ReadonlySet<number>>;

function isolationOf({ host, topology }: Collection, report: Report): Isolation {
  const isolated = (topology?.cpus ?? []).filter((cpu) => cpu.isolated).map(({ cpu }) => cpu);
  const found = new Map([['isolated', new Set(isolated)]]);
  guarded('nohz_full', report, () => found.set('nohz_full', new Set(readNohzFull(host))));
  return found;
}

function addHost(
  { host, families, topology, runsIrqbalance }: Collection,
  isolation: Isolation,
  report: Report,
): void {
  const online = (topology?.cpus ?? []).map(({ cpu }) => cpu);
  if (online.length > 0)
    for (const [kind, count] of kindsOf(online, isolation)) families.add('kvm_host_cpus', { kind }, count);
  if (runsIrqbalance !== undefined) families.add('kvm_host_irqbalance_running', {}, runsIrqbalance ? 1 : 0);
  guarded('sched_ext', report, () => {
    const ext = readSchedExt(host);
    if (ext === undefined) return;
    const { state, scheduler } = ext;
    families.add('kvm_sched_ext_info', { state, scheduler: truncateName(scheduler) }, 1);
  });
}

function kindsOf(cpus: readonly number[], isolation: Isolation): [kind: string, count: number][] {
  const found: [string, number][] = [['all', cpus.length]];
  for (const [kind, of] of isolation) found.push([kind, cpus.filter((cpu) => of.has(cpu)).length]);
  return found;
}

function addThreads(families: Families, { vm, role, cpus, threads }: RoleCpus, isolation: Isolation): void {
  for (const [kind, count] of kindsOf(cpus, isolation))
    families.add('kvm_vm_cpus', { vm, role, kind }, count);
  const cookies = threads.flatMap(({ task }) => task.hasCoreCookie ?? []);
  if (cookies.length > 0)
    families.add('kvm_vm_core_scheduled_threads', { vm, role }, cookies.filter((each) => each).length);
  const byPolicy = new Map<PolicyLabels, number>();
  for (const { task } of threads) addTo(byPolicy, families.block({ vm, role, ...schedulingPolicy(task) }), 1);
  for (const [labels, count] of byPolicy) families.add('kvm_vm_scheduled_threads', labels, count);
}

/** Empty on a kernel without CONFIG_SCHED_DEBUG. A thread that has exited is left out. */
function readThreads(host: Host, threads: readonly ThreadObservation[], report: Report): ThreadSched[] {
  const found: ThreadSched[] = [];
  for (const { thread } of threads) {
    guarded(thread.path, report, () => {
      const sched = ifThere(() => readTaskSched(host, thread.path));
      if (sched !== undefined) found.push({ thread: `${thread.tid}:${thread.startTime}`, sched });
    });
  }
  return found;
}

function addLimits(families: Families, { vm, role }: RoleCpus, threads: readonly ThreadSched[]): void {
  const labels = families.block({ vm, role });
  const known = <T>(of: (sched: TaskSched) => T | undefined): T[] =>
    threads.flatMap(({ sched }) => of(sched) ?? []);
  const mins = known(({ uclampMin }) => uclampMin);
  if (mins.length > 0) families.add('kvm_vm_uclamp_min_ratio', labels, Math.min(...mins) / CAPACITY);
  const maxs = known(({ uclampMax }) => uclampMax);
  if (maxs.length > 0) families.add('kvm_vm_uclamp_max_ratio', labels, Math.min(...maxs) / CAPACITY);
  const ext = known(({ isExt }) => isExt);
  if (ext.length > 0) families.add('kvm_vm_ext_threads', labels, ext.filter((each) => each).length);
}
