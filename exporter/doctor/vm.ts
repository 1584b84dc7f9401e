import { formatCpuList } from '../../kernel/cpu-list.ts';
import { MSEC_PER_SEC } from '../../kernel/units.ts';
import { printable } from '../../probes/printable.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import { fixOf, type Plan, type VmPlan } from '../assessment/plan/plan.ts';
import { type Remedy, remediesFor } from '../assessment/plan/remedies.ts';
import { TECHNIQUES } from '../metrics/techniques.ts';
import type { VmAffinity } from '../model/affinity-reading.ts';
import { servedInWords } from '../model/disk-facts.ts';
import type { Expectation } from '../model/expectation.ts';
import { missingFor, nextRule } from '../model/next-stage.ts';
import type { ObservedVm } from '../model/observed.ts';
import { inWords, statesOf } from '../model/stage.ts';
import type { VmStage } from '../model/stage-reading.ts';
import { verdictInWords } from '../model/technique-in-words.ts';
import type { Visibility } from '../model/visibility.ts';
import type { Vm } from '../model/vm.ts';
import type { Storage } from '../model/vm-statistics.ts';
import { quotaLines, type ReportedQuotas } from './quotas.ts';
import { type ReportedVisibility, reportedVisibility, visibilityLines } from './visibility.ts';

/** The report of `doctor --vm`. */
export interface VmReport {
  readonly vm: string;
  readonly pid: number;
  readonly threads: readonly ReportedThread[];
  /** Bytes by NUMA node; undefined on a host with one node, or if numa_maps cannot be read. */
  readonly memory: Readonly<Record<string, number>> | undefined;
  readonly devices: readonly { readonly device: string; readonly node: number | undefined }[];
  /** The reason why `devices` may be incomplete. */
  readonly unknownDevices: readonly string[];
  readonly disks: readonly {
    readonly disk: string;
    readonly queues: number | undefined;
    readonly iothreads: readonly string[];
  }[];
  readonly queues: VmStage['devices'];
  readonly cpuQuotas: ReportedQuotas;
  /** The parts of its I/O that the host sees. */
  readonly visibility: ReportedVisibility;
  readonly features: Readonly<Record<string, number>>;
  /** The paper's stage, else what is in force in words. */
  readonly stage: string;
  /** Each technique with its state, since when, and the numbers that decide. */
  readonly techniques: readonly ReportedTechnique[];
  readonly phase: string | undefined;
  /** Each with the step of the plan that fixes it. */
  readonly drifts: readonly { thread: string; kind: string; why: string; fix: string | undefined }[];
  /** Why the expected affinity of some threads is unknown; undefined if it is known. */
  readonly unknown: string | undefined;
  readonly plan: Plan;
  readonly next:
    | { readonly stage: string; readonly section: string; readonly steps: readonly Remedy[] }
    | undefined;
}

interface ReportedTechnique {
  readonly technique: string;
  readonly state: string;
  /** Seconds of the epoch. */
  readonly since: number;
  readonly text: string;
  /** Whether the declared phase includes the technique, and it is not in force. */
  readonly contradictsPhase: boolean;
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
  readonly statistics: Storage | undefined;
  readonly topology: CpuTopology;
  readonly disks: readonly Disk[];
  readonly plan: VmPlan;
  readonly cpuQuotas: ReportedQuotas;
  readonly visibility: Visibility;
}

export function reportOn({
  vm,
  affinity,
  stage,
  statistics,
  topology,
  disks,
  plan,
  cpuQuotas,
  visibility,
}: VmFacts): VmReport {
  const { observed, drifts } = affinity;
  const rule = nextRule(stage);
  const nodes = (cpus: readonly number[]): string =>
    formatCpuList([...new Set(cpus.flatMap((cpu) => topology.nodeOf.get(cpu) ?? []))].sort((a, b) => a - b));
  return {
    vm: vm.label,
    pid: vm.pid,
    threads: observed.threads.map(({ label, tid, allowedList, seenOn, expectation }) => ({
      thread: label,
      tid,
      allowed: allowedList,
      cpu: formatCpuList([...seenOn].sort((a, b) => a - b)),
      node: nodes(seenOn),
      expected: expectationText(expectation),
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
    cpuQuotas,
    visibility: reportedVisibility(visibility),
    features: Object.fromEntries(stage.features),
    stage: stage.label ?? inWords(statesOf(stage.verdicts)),
    techniques: TECHNIQUES.map((technique) => ({
      technique,
      state: stage.verdicts[technique].state,
      since: stage.verdicts[technique].since / MSEC_PER_SEC,
      text: verdictInWords(stage.verdicts[technique]),
      contradictsPhase: stage.contradicted.includes(technique),
    })),
    phase: stage.phase,
    drifts: drifts.map((drift) => {
      const { thread, kind, why } = drift;
      return { thread, kind, why, fix: fixOf(plan, drift) };
    }),
    unknown: unknownOf(observed),
    plan: { steps: plan.steps, undo: plan.undo, left: plan.left },
    next:
      rule === undefined
        ? undefined
        : {
            stage: rule.stage,
            section: rule.section,
            steps: remediesFor(missingFor(rule, stage.features), plan),
          },
  };
}

function expectationText(expectation: Expectation | undefined): string {
  if (expectation === undefined) return '';
  switch (expectation.source) {
    case 'unpinned':
      return 'not pinned';
    case 'unknown':
      return 'unknown';
    default:
      return `${formatCpuList(expectation.cpus)} (${expectation.source})`;
  }
}

function unknownOf({ threads }: ObservedVm): string | undefined {
  const unknown = threads.filter(({ expectation }) => expectation?.source === 'unknown');
  if (unknown.length === 0) return undefined;
  const labels = unknown.map(({ label }) => label).join(', ');
  return `expected affinity unknown (${labels}): no baseline of this VM in --state.dir; use the --state.dir of the daemon`;
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
  for (const { disk, ...facts } of report.disks)
    lines.push(`disk      ${disk}: ${servedInWords(facts, '?')}`);
  for (const { device, locality, fairness } of report.queues)
    lines.push(`queues    ${device}: locality ${ratio(locality)}, fairness ${ratio(fairness)}`);
  lines.push(...quotaLines(report.cpuQuotas));
  lines.push(...visibilityLines(report.visibility));
  const features = Object.entries(report.features).map(
    ([name, value]) => `${value === 1 ? '+' : '-'}${name}`,
  );
  lines.push(`features  ${features.join(' ')}`);
  lines.push(`stage     ${report.stage}`);
  for (const { text } of report.techniques) lines.push(`          ${text}`);
  if (report.phase !== undefined) lines.push(`phase     ${report.phase}${contradictionOf(report)}`);
  lines.push('', ...driftLines(report));
  if (report.next !== undefined) {
    lines.push('', `missing for ${report.next.stage} (section ${report.next.section} of the paper):`);
    for (const { missing, fixes } of report.next.steps)
      lines.push(`  ${missing}`, ...fixes.map((fix) => `    fix: ${fix}`));
  }
  lines.push(...planLines(report.plan));
  return `${lines.map(printable).join('\n')}\n`;
}

function driftLines(report: VmReport): string[] {
  const { drifts, unknown } = report;
  const nothing = isUnpinned(report) ? 'not pinned, so no drift' : 'no drift';
  const none = unknown === undefined ? nothing : 'no drift that can be seen without a baseline';
  const lines = drifts.flatMap(({ thread, kind, why, fix }) => [
    `  ${thread}: ${kind}: ${why}`,
    ...(fix === undefined ? [] : [`    fix: ${fix}`]),
  ]);
  return [...(unknown === undefined ? [] : [unknown]), lines.length === 0 ? none : 'drift:', ...lines];
}

/** The commands above as one list. */
function planLines({ steps, left }: Plan): string[] {
  const lines = steps.flatMap(({ command, undo }, i) => [
    `  ${i + 1}. ${command}`,
    `     undo: ${undo ?? 'none'}`,
  ]);
  return [
    ...(steps.length === 0
      ? []
      : ['', 'plan (run in this order; undo in the reverse order, kvm-telemetry accept last):', ...lines]),
    ...(left.length === 0 ? [] : ['', 'not repaired by any command:']),
    ...left.map(({ thread, why }) => `  ${thread}: ${why}`),
  ];
}

/** Without pins no thread can leave its expected affinity. */
function isUnpinned({ techniques }: VmReport): boolean {
  return techniques.some(({ technique, state }) => technique === 'affinity' && state === 'off');
}

function contradictionOf({ techniques }: VmReport): string {
  const broken = techniques.filter(({ contradictsPhase }) => contradictsPhase);
  if (broken.length === 0) return '';
  return ` (contradicted: ${broken.map(({ technique, state }) => `${technique} is ${state}`).join(', ')})`;
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
