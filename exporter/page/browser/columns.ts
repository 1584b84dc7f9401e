import type { LiveVm } from '../live.ts';
import { type Condition, severityOf } from './conditions.ts';
import { count, duration, fixed, NONE, words } from './format.ts';
import { type Hour, latest } from './line-path.ts';
import type { VmRates } from './rates.ts';
import { stageInWords, verdictLine } from './verdicts.ts';

export interface Row {
  readonly vm: LiveVm;
  readonly rates: VmRates;
  /** Worst first. */
  readonly conditions: readonly Condition[];
  /** Means of the last minutes, as the daemon recorded them. */
  readonly hour: Hour | undefined;
  /** Time of the VM's collection, in seconds of the epoch. */
  readonly at: number;
}

export interface Column {
  readonly key: string;
  readonly label: string;
  /** Shown under the label in a smaller font. */
  readonly unit: string;
  readonly help: string;
  readonly isNumber: boolean;
  /** Sort key. undefined sorts last in both directions. */
  value(row: Row): number | string | undefined;
  text(row: Row): string;
  /** The counters behind the value, as in /metrics: metric and value. */
  raw(vm: LiveVm): readonly (readonly [metric: string, value: number])[];
}

const none = (): [] => [];

const named = (metric: string, label: string, counts: LiveVm['run'] | undefined): [string, number][] =>
  Object.entries(counts ?? {}).map(([name, value]) => [`${metric}{${label}="${name}"}`, value]);

/** ` +2` if three are found and the first is shown. */
const more = (found: readonly unknown[]): string => (found.length > 1 ? ` +${found.length - 1}` : '');

function perIo(step: 'kick' | 'inject' | 'eoi', label: string, help: string): Column {
  return {
    key: step,
    label,
    unit: 'per I/O',
    help,
    isNumber: true,
    value: ({ rates }) => rates.perIo[step],
    text: ({ rates }) => fixed(rates.perIo[step]),
    raw: ({ path }) =>
      named('kvm_vm_io_path_events_total', 'step', path).filter(([name]) => name.includes(step)),
  };
}

function cores(key: 'vcpuCores' | 'ioCores' | 'otherCores', label: string, help: string): Column {
  return {
    key,
    label,
    unit: 'cores',
    help,
    isNumber: true,
    value: ({ rates }) => rates[key],
    text: ({ rates }) => fixed(rates[key]),
    raw: ({ run }) => named('kvm_thread_run_seconds_total', 'role', run),
  };
}

export const COLUMNS: readonly Column[] = [
  {
    key: 'vm',
    label: 'VM',
    unit: '',
    help: 'Name of the VM. Press Enter to open its page',
    isNumber: false,
    value: ({ vm }) => vm.vm,
    text: ({ vm }) => vm.vm,
    raw: none,
  },
  {
    key: 'condition',
    label: 'Condition',
    unit: 'worst first',
    isNumber: false,
    help: 'Over the last seconds. Stalled: requests in flight, and none completes. Exit storm: exits that the I/O does not explain. Throttled: a CPU quota stops the VM. Starved: vCPUs wait for a CPU. Technique lost: it was in force since the VM started and is not now. Drift: threads with another affinity than expected',
    value: ({ conditions }) => severityOf(conditions),
    text: ({ conditions, rates }) => {
      const [worst] = conditions;
      if (worst === undefined) return rates.exits === undefined ? NONE : 'no condition';
      return `${worst.kind}: ${worst.brief ?? worst.evidence}${more(conditions)}`;
    },
    raw: none,
  },
  {
    key: 'stage',
    label: 'Stage',
    unit: 'phase',
    isNumber: false,
    help: "The paper's stage, if the techniques in force make one, and the declared phase",
    value: ({ vm }) => (vm.stageRank === undefined ? undefined : `${vm.stageRank} ${vm.phase ?? ''}`),
    text: ({ vm }) => [stageInWords(vm) ?? NONE, vm.phase].filter(Boolean).join(' · '),
    raw: none,
  },
  {
    key: 'exits',
    label: 'Exits',
    unit: 'per s',
    help: 'VM exits, for all reasons',
    isNumber: true,
    value: ({ rates }) => rates.exits,
    text: ({ rates }) => count(rates.exits),
    raw: ({ exits }) => (exits === undefined ? [] : [[exits.from, exits.total]]),
  },
  perIo('kick', 'Kick', 'Exits that notify a virtqueue, per I/O'),
  perIo('inject', 'Inject', 'Exits that inject an interrupt, per I/O'),
  perIo('eoi', 'EOI', 'Exits that end an interrupt, per I/O'),
  {
    key: 'iops',
    label: 'IOPS',
    unit: 'per s',
    isNumber: true,
    help: "I/Os completed by the VM's disks. Without QMP or libvirt: requests to the host's devices",
    value: ({ rates }) => rates.iops,
    text: ({ rates }) => count(rates.iops),
    raw: ({ io }) => (io === undefined ? [] : [[io.from, io.total]]),
  },
  cores('vcpuCores', 'vCPU', 'CPUs in use by vCPU threads'),
  cores('ioCores', 'I/O', 'CPUs in use by IOThreads, vhost, SQPOLL and workers'),
  cores('otherCores', 'Other', 'CPUs in use by the emulator and other threads'),
  {
    key: 'wait',
    label: 'Wait',
    unit: 'ms/s',
    isNumber: true,
    help: 'Time in run queues, over all threads. The guest sees the wait of its vCPUs as steal time',
    value: ({ rates }) => rates.wait,
    text: ({ rates }) => count(rates.wait === undefined ? undefined : rates.wait * 1000),
    raw: ({ wait }) => named('kvm_thread_wait_seconds_total', 'role', wait),
  },
  {
    key: 'drift',
    label: 'Drift',
    unit: 'threads',
    isNumber: false,
    help: 'Threads that violate their expected affinity, and the kind of drift',
    value: ({ vm }) => vm.drift?.threads,
    text: ({ vm: { drift } }) =>
      drift === undefined
        ? NONE
        : drift.threads === 0
          ? 'none'
          : `${drift.threads}: ${words(drift.kinds[0] ?? '')}${more(drift.kinds)}`,
    raw: ({ drift }) => (drift === undefined ? [] : [['kvm_vm_affinity_drift_threads', drift.threads]]),
  },
  {
    key: 'hour',
    label: 'Last hour',
    unit: 'IOPS, exits, p99',
    isNumber: false,
    help: 'Small lines of I/Os and exits per second, and of the duration of the slowest hundredth of the exits',
    value: ({ hour }) => latest(hour, 'p99'),
    text: ({ hour }) =>
      [count(latest(hour, 'iops')), count(latest(hour, 'exits')), duration(latest(hour, 'p99'))].join(', '),
    raw: none,
  },
  {
    key: 'verdict',
    label: 'Verdict',
    unit: '',
    isNumber: false,
    help: 'The techniques that are in force, partly or lost, since when, and the number that decided',
    value: ({ vm }) => vm.techniques.filter(({ state }) => state === 'lost').length,
    text: ({ vm, at, hour }) => (vm.techniques.length === 0 ? NONE : verdictLine(vm.techniques, at, hour)),
    raw: none,
  },
];
