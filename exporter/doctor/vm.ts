import { formatCpuList } from '../../kernel/cpu-list.ts';
import { printable } from '../../probes/printable.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import type { VmAffinity } from '../model/affinity-reading.ts';
import { ioThreadsOf, nextRule, type Remedy, remediesFor } from '../model/next-stage.ts';
import type { VmStage } from '../model/stage-reading.ts';
import { factsOf } from '../model/topology-facts.ts';
import type { Vm } from '../model/vm.ts';
import type { VmStatistics } from '../model/vm-statistics.ts';

/** The report of `doctor --vm`. */
export interface VmReport {
  readonly vm: string;
  readonly pid: number;
  readonly threads: readonly ReportedThread[];
  /** Bytes by NUMA node; undefined on a host with one node, or if numa_maps cannot be read. */
  readonly memory: Readonly<Record<string, number>> | undefined;
  readonly devices: readonly { readonly device: string; readonly node: number | undefined }[];
  /** Why `devices` may be incomplete. */
  readonly unknownDevices: readonly string[];
  readonly disks: readonly {
    readonly disk: string;
    readonly queues: number | undefined;
    readonly iothreads: readonly string[];
  }[];
  readonly queues: VmStage['devices'];
  readonly features: Readonly<Record<string, number>>;
  readonly stage: string;
  readonly phase: string | undefined;
  readonly drifts: readonly { thread: string; kind: string; why: string; fix: string | undefined }[];
  readonly next:
    | { readonly stage: string; readonly section: string; readonly steps: readonly Remedy[] }
    | undefined;
}

interface ReportedThread {
  readonly thread: string;
  readonly tid: number;
  readonly allowed: string;
  readonly cpu: string;
  readonly node: string;
  /** Such as `0-3 (libvirt)`; empty if no expected affinity is known. */
  readonly expected: string;
}

export interface VmFacts {
  readonly vm: Vm;
  readonly affinity: VmAffinity;
  readonly stage: VmStage;
  readonly statistics: VmStatistics | undefined;
  readonly topology: CpuTopology;
  readonly disks: readonly Disk[];
  /** CPUs that are the only allowed CPU of a vCPU or I/O thread of any VM. */
  readonly taken: ReadonlySet<number>;
}

export function reportOn({ vm, affinity, stage, statistics, topology, disks, taken }: VmFacts): VmReport {
  const { observed, drifts } = affinity;
  const rule = nextRule(stage);
  const nodes = (cpus: readonly number[]): string =>
    formatCpuList([...new Set(cpus.flatMap((cpu) => topology.nodeOf.get(cpu) ?? []))].sort((a, b) => a - b));
  const facts = factsOf(topology);
  const { isolated } = facts;
  const cpusNear = new Set(facts.cpusNear(observed.deviceNodes));
  const isNear = (cpu: number): number => Number(cpusNear.has(topology.nodeOf.get(cpu) ?? -1));
  // Isolated CPUs are usually reserved. Suggest them first if the VM already uses some, otherwise last.
  const usesIsolated = observed.threads.some(
    ({ allowed }) => allowed.length === 1 && isolated.has(allowed[0] ?? -1),
  );
  const isApart = (cpu: number): number => Number(isolated.has(cpu) !== usesIsolated);
  const free = topology.cpus.map(({ cpu }) => cpu).filter((cpu) => !taken.has(cpu));
  return {
    vm: vm.label,
    pid: vm.pid,
    threads: observed.threads.map(({ label, tid, allowedList, seenOn, expectation }) => ({
      thread: label,
      tid,
      allowed: allowedList,
      cpu: formatCpuList([...seenOn].sort((a, b) => a - b)),
      node: nodes(seenOn),
      expected: expectation === undefined ? '' : `${formatCpuList(expectation.cpus)} (${expectation.source})`,
    })),
    memory: observed.memory === undefined ? undefined : Object.fromEntries(observed.memory),
    devices: vm.blockDevices.map(({ device }) => ({
      device,
      node: disks.find(({ name }) => name === device)?.node,
    })),
    unknownDevices: vm.unknownDevices,
    disks: (statistics?.disks ?? []).map(({ name, queues, iothreads }) => ({
      disk: name,
      queues,
      iothreads: iothreads ?? [],
    })),
    queues: stage.devices,
    features: Object.fromEntries(stage.features),
    stage: stage.detected,
    phase: stage.phase,
    drifts: drifts.map(({ thread, kind, why, fix }) => ({ thread, kind, why, fix })),
    next:
      rule === undefined
        ? undefined
        : {
            stage: rule.stage,
            section: rule.section,
            steps: remediesFor(
              rule,
              vm,
              observed,
              stage,
              free.sort((a, b) => isApart(a) - isApart(b) || isNear(b) - isNear(a) || a - b),
            ),
          },
  };
}

/** CPUs that are the only allowed CPU of a vCPU or I/O thread. */
export function takenCpus(affinities: Iterable<VmAffinity>): Set<number> {
  const taken = new Set<number>();
  for (const { observed } of affinities) {
    const { threads } = observed;
    for (const { allowed } of [...threads.filter(({ role }) => role === 'vcpu'), ...ioThreadsOf(threads)]) {
      const [cpu] = allowed;
      if (allowed.length === 1 && cpu !== undefined) taken.add(cpu);
    }
  }
  return taken;
}

/** Formats the report as text. Tenants choose VM names, so terminal control characters are replaced. */
export function formatVmReport(report: VmReport): string {
  const head = ['thread', 'tid', 'allowed CPUs', 'on CPU', 'node', 'expected CPUs'];
  const rows = report.threads.map(({ thread, tid, allowed, cpu, node, expected }) => [
    thread,
    String(tid),
    allowed,
    cpu,
    node,
    expected,
  ]);
  const lines = [`${report.vm} (pid ${report.pid})`, '', ...table([head, ...rows]), ''];
  if (report.memory !== undefined) {
    const parts = Object.entries(report.memory).map(
      ([node, bytes]) => `node ${node}: ${Math.round(bytes / 2 ** 20)} MiB`,
    );
    lines.push(`memory    ${parts.join(', ')}`);
  }
  for (const { device, node } of report.devices)
    lines.push(`device    ${device}${node === undefined ? '' : `, node ${node}`}`);
  for (const why of report.unknownDevices) lines.push(`device    unknown: ${why}`);
  for (const { disk, queues, iothreads } of report.disks) {
    const by = iothreads.length === 0 ? 'the main loop' : [...new Set(iothreads)].join(', ');
    lines.push(`disk      ${disk}: ${queues ?? '?'} queues, served by ${by}`);
  }
  for (const { device, locality, fairness } of report.queues)
    lines.push(`queues    ${device}: locality ${ratio(locality)}, fairness ${ratio(fairness)}`);
  const features = Object.entries(report.features).map(
    ([name, value]) => `${value === 1 ? '+' : '-'}${name}`,
  );
  lines.push(`features  ${features.join(' ')}`);
  lines.push(`stage     ${report.stage}${report.phase === undefined ? '' : `; phase ${report.phase}`}`, '');
  lines.push(report.drifts.length === 0 ? 'no drift' : 'drift:');
  for (const { thread, kind, why, fix } of report.drifts) {
    lines.push(`  ${thread}: ${kind}: ${why}`);
    if (fix !== undefined) lines.push(`    fix: ${fix}`);
  }
  if (report.next !== undefined) {
    lines.push('', `missing for ${report.next.stage} (section ${report.next.section} of the paper):`);
    for (const { missing, fixes } of report.next.steps)
      lines.push(`  ${missing}`, ...fixes.map((fix) => `    fix: ${fix}`));
  }
  return `${lines.map(printable).join('\n')}\n`;
}

function ratio(value: number | undefined): string {
  return value === undefined ? '?' : value.toFixed(2);
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
