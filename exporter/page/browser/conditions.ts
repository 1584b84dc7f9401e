import type { LiveCounters, LiveDevice, LiveVm } from '../live.ts';
import { count, fixed, percent } from './format.ts';
import { type Rate, sumOf, type VmRates } from './rates.ts';
import { lossInWords, nameOf } from './verdicts.ts';

/** As in alerts/thresholds.ts; a test compares them. */
export const LIMITS = {
  /** Exits per second and vCPU that the VM's I/O does not explain. */
  excessExits: 10_000,
  exitsPerIo: 5,
  exitsPerPathEvent: 2,
  /** Share of the time that a vCPU waits for a CPU. */
  wait: 0.1,
  /** CPU seconds per second for which a CPU quota stops a VM. */
  throttled: 0.1,
} as const;

/** Steps of the I/O path that an I/O explains. */
const STEPS = ['kick', 'inject', 'eoi'];

export interface Condition {
  readonly kind: 'stalled' | 'exit storm' | 'throttled' | 'starved' | 'technique lost' | 'drift';
  /** The measurement. */
  readonly evidence: string;
  /** For the table of VMs, whose verdict line has the numbers of a loss. */
  readonly brief?: string;
}

/** Worst first. */
export const KINDS: readonly Condition['kind'][] = [
  'stalled',
  'exit storm',
  'throttled',
  'starved',
  'technique lost',
  'drift',
];

/** The conditions of a VM, worst first. Each is a measurement over the last seconds. An alert also waits. */
export function conditionsOf(vm: LiveVm, rates: VmRates): Condition[] {
  const found = [
    ...rates.stalled.map(stall),
    storm(vm, rates),
    throttled(rates),
    starved(vm, rates),
    ...losses(vm),
    drift(vm),
  ];
  return found.filter((condition) => condition !== undefined);
}

/**
 * The conditions that the daemon's history can detect. Drift has its own watch, and waits are not read between
 * scrapes.
 */
export function noticedIn(vm: LiveCounters, rates: VmRates): Condition[] {
  return [...rates.stalled.map(stall), storm(vm, rates)].filter((condition) => condition !== undefined);
}

/** 0 for a VM without conditions; larger for a worse one. */
export function severityOf(conditions: readonly Condition[]): number {
  const [worst] = conditions;
  return worst === undefined ? 0 : KINDS.length - KINDS.indexOf(worst.kind);
}

function stall({ device, inFlight }: LiveDevice): Condition {
  const requests = count(inFlight);
  return {
    kind: 'stalled',
    evidence: `${requests} I/Os hang on ${device}`,
    brief: `${requests} hang on ${device}`,
  };
}

/** Whether the host may miss this part of the VM's I/O. @param what as in kvm_vm_visibility */
export function isHidden({ hidden }: Pick<LiveCounters, 'hidden'>, what: string): boolean {
  return hidden.some(({ whats }) => whats.includes(what));
}

/** As the rule vm:kvm_excess_exits:per_vcpu. */
function storm(vm: LiveCounters, { exits, iops, path }: VmRates): Condition | undefined {
  const { vcpus } = vm;
  if (exits === undefined || vcpus === 0) return undefined;
  const ofIos = isHidden(vm, 'io') ? undefined : (iops ?? 0) * LIMITS.exitsPerIo;
  const traced = isHidden(vm, 'exits') ? undefined : sumOf(path, (step) => STEPS.includes(step));
  const explanations = [ofIos, traced === undefined ? undefined : traced * LIMITS.exitsPerPathEvent];
  const known = explanations.filter((each) => each !== undefined);
  if (known.length === 0) return undefined;
  const explained = Math.min(...known);
  const excess = Math.max(0, exits - explained) / vcpus;
  if (excess <= LIMITS.excessExits) return undefined;
  return { kind: 'exit storm', evidence: `${count(excess)} exits/s a vCPU` };
}

/** As KvmVmThrottled: cgroups are nested, so the largest one counts. */
function throttled({ throttled: byGroup }: VmRates): Condition | undefined {
  const [group, most] = mostOf(byGroup);
  if (most <= LIMITS.throttled) return undefined;
  const whose = group === 'vm' ? 'its quota' : `the quota of ${group}`;
  const stopped = `${fixed(most)} CPUs`;
  return { kind: 'throttled', evidence: `${stopped} by ${whose}`, brief: stopped };
}

/** The kernel counts the time for which a quota stops a thread as wait. */
function starved({ vcpus }: LiveCounters, { waits, throttled: byGroup }: VmRates): Condition | undefined {
  const wait: Rate = waits['vcpu'];
  if (wait === undefined || vcpus === 0) return undefined;
  const [, stopped] = mostOf(byGroup);
  const share = (wait - stopped) / vcpus;
  if (share <= LIMITS.wait) return undefined;
  const text = percent(share);
  return { kind: 'starved', evidence: `vCPUs wait ${text} of the time`, brief: `vCPUs wait ${text}` };
}

function mostOf(rates: VmRates['throttled']): readonly [group: string, rate: number] {
  const known = Object.entries(rates).map(([group, rate]): [string, number] => [group, rate ?? 0]);
  return known.reduce((most, each) => (each[1] > most[1] ? each : most), ['', 0]);
}

/** A lost pin is a drift already. */
function losses({ techniques, drift: found }: LiveVm): Condition[] {
  return techniques
    .filter(({ technique, state }) => state === 'lost' && !(technique === 'affinity' && found?.threads))
    .map((lost) => ({ kind: 'technique lost', evidence: lossInWords(lost), brief: nameOf(lost.technique) }));
}

function drift({ drift: found }: LiveVm): Condition | undefined {
  if (found === undefined || found.threads === 0) return undefined;
  return { kind: 'drift', evidence: found.threads === 1 ? '1 thread' : `${found.threads} threads` };
}
