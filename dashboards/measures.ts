import { kicksInjectionsEois, ofVm, VM } from '../alerts/recording.ts';
import { MIN_IOPS, MIN_IOPS_OF_LATENCY } from '../alerts/thresholds.ts';
import {
  and,
  compare,
  countOverTime,
  div,
  equal,
  histogramQuantile,
  type Matcher,
  mul,
  notEqual,
  on,
  or,
  sum,
  sumOverTime,
  type Vector,
} from '../promql/promql.ts';
import { byConfiguration, type Shown } from './configurations.ts';
import type { Unit } from './panels/panel.ts';
import { OF_VMS, RATE, vmRate } from './queries.ts';

type Vm = (typeof VM)[number];
type OfConfiguration = Vector<'configuration'>;

/** How a measure is computed, for each VM over time and for each configuration. */
interface Formula {
  readonly overTime: Vector<Vm>;
  readonly perConfiguration: (only: Shown) => OfConfiguration;
}

/** One measure of the paper's evaluation. */
export interface Measure extends Formula {
  readonly title: string;
  readonly help: string;
  readonly better: 'more' | 'less';
  readonly unit: Unit;
  readonly decimals?: number;
}

const CONFIGURATION = ['configuration'] as const;

const total = (value: Vector<Vm>, only: Shown): OfConfiguration =>
  sum(sumOverTime(byConfiguration(value, only)), CONFIGURATION);

/** The mean of all minutes of all VMs. */
function mean(of: Vector<Vm>): Formula {
  return {
    overTime: of,
    perConfiguration: (only) =>
      div(total(of, only), sum(countOverTime(byConfiguration(of, only)), CONFIGURATION)),
  };
}

/** The sum of one over the sum of the other, so that each VM and minute counts by its work. */
export function ratio(of: Vector<Vm>, by: Vector<Vm>, factor?: number): Formula {
  const scaled = <L extends string>(value: Vector<L>): Vector<L> =>
    factor === undefined ? value : mul(value, factor);
  return {
    overTime: scaled(div(of, compare(by, '>', 0))),
    perConfiguration: (only) => {
      const [above, below] = [total(and(of, on(...VM), by), only), total(and(by, on(...VM), of), only)];
      return scaled(div(above, compare(below, '>', 0)));
    },
  };
}

function quantile(share: number, of: Vector<Vm | 'le'>): Formula {
  return {
    overTime: histogramQuantile<Vm>(share, of),
    perConfiguration: (only) =>
      histogramQuantile<'configuration'>(
        share,
        sum(sumOverTime(byConfiguration(of, only)), [...CONFIGURATION, 'le']),
      ),
  };
}

/** Operations that have a latency. */
const notFlush = { operation: notEqual('flush') };
const diskSeconds = or(
  sum(ofVm.diskSeconds(RATE, OF_VMS), VM),
  sum(vmRate('kvm_vm_block_request_duration_seconds_sum'), VM),
);
const diskOperations = compare(
  or(sum(ofVm.diskIos(RATE, OF_VMS), VM), sum(vmRate('kvm_vm_block_request_duration_seconds_count'), VM)),
  '>',
  MIN_IOPS_OF_LATENCY,
);
/** The buckets of QEMU and of the block layer differ, so a VM has those of one of them. */
const latencyBuckets = or(
  sum(vmRate('kvm_vm_disk_duration_seconds_bucket', notFlush), [...VM, 'le']),
  on(...VM),
  sum(vmRate('kvm_vm_block_request_duration_seconds_bucket'), [...VM, 'le']),
);
const LATENCY_SOURCE =
  "From QEMU's histogram of the disk where one is set, else from the host's block layer (block_duration in trace.sets).";

export const ios = ofVm.ios(RATE, OF_VMS);
const busy = compare(ios, '>', MIN_IOPS);
const cores = sum(ofVm.cores(RATE, OF_VMS), VM);
const events = (step: Matcher): Vector<Vm> => sum(ofVm.ioPathEvents(RATE, { ...OF_VMS, step }), VM);

export const MEASURES: readonly Measure[] = [
  {
    title: 'I/Os per second',
    help: 'Mean I/Os per second as requested by the guest (paper, Fig. 10 and 15).',
    ...mean(ios),
    better: 'more',
    unit: 'iops',
  },
  {
    title: 'CPU',
    help: 'Mean CPU use of all threads of the VM (paper, Table 1). 100% is one core.',
    ...mean(cores),
    better: 'less',
    unit: 'percentunit',
    decimals: 0,
  },
  {
    title: 'CPU per 1,000 I/Os',
    help: 'CPU time of all threads per 1,000 I/Os. Polling is worth its cores if this falls.',
    ...ratio(cores, busy, 1000),
    better: 'less',
    unit: 's',
    decimals: 1,
  },
  {
    title: 'Exits per I/O',
    help: 'Kicks, injections and EOIs per I/O: three in the original, almost none with exitless polling (paper, 2.3.2).',
    ...ratio(events(kicksInjectionsEois.step), busy),
    better: 'less',
    unit: 'none',
    decimals: 2,
  },
  {
    title: 'I/Os per kick',
    help: 'I/Os per kick of the guest. Parallel batching and polling raise it (paper, 4.1.1).',
    ...ratio(busy, events(equal('kick'))),
    better: 'more',
    unit: 'none',
    decimals: 1,
  },
  {
    title: 'I/Os per injection',
    help: 'Completions per injected interrupt. With posted interrupts (APICv, AVIC) only interrupts of the host are counted, and the value does not describe the guest.',
    ...ratio(busy, events(equal('inject'))),
    better: 'more',
    unit: 'none',
    decimals: 1,
  },
  {
    title: 'Mean latency',
    help: "Mean time of a read or write as measured by the VMM, else in the host's block layer.",
    ...ratio(diskSeconds, diskOperations),
    better: 'less',
    unit: 's',
    decimals: 1,
  },
  {
    title: 'Median latency',
    help: `Time that half of the operations do not exceed. ${LATENCY_SOURCE}`,
    ...quantile(0.5, latencyBuckets),
    better: 'less',
    unit: 's',
    decimals: 1,
  },
  {
    title: '99th percentile of latency',
    help: `Time that 99% of the operations do not exceed. ${LATENCY_SOURCE}`,
    ...quantile(0.99, latencyBuckets),
    better: 'less',
    unit: 's',
    decimals: 1,
  },
];
