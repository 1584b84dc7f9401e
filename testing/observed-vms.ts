import { type PlanHost, planHostOf } from '../exporter/assessment/plan/host.ts';
import { fixOf, type VmPlan } from '../exporter/assessment/plan/plan.ts';
import { type Drift, driftsOf } from '../exporter/model/drift.ts';
import type { Expectation } from '../exporter/model/expectation.ts';
import type { ObservedThread, ObservedVm } from '../exporter/model/observed.ts';
import type { Role } from '../exporter/model/roles.ts';
import { factsOf } from '../exporter/model/topology-facts.ts';
import { formatCpuList } from '../kernel/cpu-list.ts';
import type { Cpu, CpuTopology } from '../probes/sys-cpu.ts';
import { planFor } from './vm-plan.ts';

export const LIMIT = 1;

/** Cores of `smt` CPUs each, numbered core by core, the same number of cores on each node. */
export function topologyOf(nodes: number, coresPerNode: number, smt: number): CpuTopology {
  const cpus = Array.from({ length: nodes * coresPerNode * smt }, (_, cpu): Cpu => {
    const core = Math.floor(cpu / smt);
    const node = Math.floor(core / coresPerNode);
    const siblings = Array.from({ length: smt }, (_, i) => core * smt + i);
    return { cpu, package: node, core, node, siblings, isolated: false };
  });
  return {
    cpus,
    nodes: Array.from({ length: nodes }, (_, node) => node),
    nodeOf: new Map(cpus.map(({ cpu, node }) => [cpu, node ?? 0])),
    memoryNodes: Array.from({ length: nodes }, (_, node) => node),
    distances: new Map(),
  };
}

/** The same machine with some CPUs unplugged. */
export function without(topology: CpuTopology, offline: readonly number[]): CpuTopology {
  const isOn = (cpu: number): boolean => !offline.includes(cpu);
  return {
    ...topology,
    cpus: topology.cpus
      .filter(({ cpu }) => isOn(cpu))
      .map((cpu) => ({ ...cpu, siblings: cpu.siblings.filter(isOn) })),
    nodeOf: new Map([...topology.nodeOf].filter(([cpu]) => isOn(cpu))),
  };
}

let tid = 100;

/** A thread with this mask, seen on the first CPU of its mask. */
export function thread(
  label: string,
  allowed: readonly number[],
  expected?: readonly number[],
  more: Partial<ObservedThread> = {},
): ObservedThread {
  const expectation: Expectation | undefined =
    expected === undefined ? undefined : { cpus: expected, source: 'baseline' };
  return {
    label,
    role: (/^[a-z]+/.exec(label)?.[0] ?? 'other') as Role,
    tid: tid++,
    allowedList: formatCpuList(allowed),
    allowed,
    seenOn: allowed.slice(0, 1),
    migrationsPerSecond: 0,
    cpuset: undefined,
    expectation,
    ...more,
  };
}

export function vmOf(threads: readonly ObservedThread[], more: Partial<ObservedVm> = {}): ObservedVm {
  return {
    vm: 'web',
    pid: 99,
    domain: '',
    uuid: '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10',
    threads,
    memory: undefined,
    deviceNodes: [],
    interruptCpus: [],
    takersOf: (cpu) => [cpu],
    unpinned: undefined,
    cpuset: undefined,
    mems: undefined,
    ...more,
  };
}

export function hostOf(topology: CpuTopology, vms: readonly ObservedVm[]): PlanHost {
  return planHostOf(vms, factsOf(topology), LIMIT);
}

/** The drifts of all VMs of a host, each with the command of its VM's plan. */
export function drifts(
  topology: CpuTopology,
  ...vms: readonly ObservedVm[]
): (Drift & { readonly fix: string | undefined })[] {
  const host = hostOf(topology, vms);
  return vms.flatMap((vm) => {
    const found = driftsOf({ vm, holders: host.holders, maxMigrationsPerSecond: LIMIT });
    let plan: VmPlan | undefined;
    return found.map((drift) => ({
      ...drift,
      get fix() {
        plan ??= planFor(host, vm);
        return fixOf(plan, drift);
      },
    }));
  });
}

/** `vcpu0 shared_cpu`, for all drifts. */
export function kinds(topology: CpuTopology, ...vms: readonly ObservedVm[]): string[] {
  return drifts(topology, ...vms).map((drift) => `${drift.thread} ${drift.kind}`);
}
