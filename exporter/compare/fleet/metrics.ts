import type { ComparedMetric } from '../model.ts';
import { type MetricText, type RatioOptions, ratioOf } from '../ratio.ts';
import type { TermName } from './queries.ts';

/** A metric over recorded series: a ratio of two sums of a host. */
export interface FleetMetric extends ComparedMetric {
  readonly above: TermName;
  readonly below: TermName;
}

function ratio(text: MetricText, above: TermName, below: TermName, options: RatioOptions = {}): FleetMetric {
  return { ...ratioOf(text, options), above, below };
}

const percent = { factor: 100 };
const perIo = { isPerIo: true };

export const IOPS = ratio(['iops', 'I/Os per second of a VM', 'per_second', 'higher'], 'ios', 'vms');
export const IN_FLIGHT = ratio(
  ['in_flight', 'I/Os in flight of a VM', 'number', 'neither'],
  'disk_seconds',
  'vms',
);

/** In the order of the report. Names are those of the other metrics of `compare` where the meaning is the same. */
export const FLEET_METRICS: readonly FleetMetric[] = [
  IOPS,
  ratio(['latency_mean', 'Mean latency', 'seconds', 'lower'], 'disk_seconds', 'disk_ios'),
  IN_FLIGHT,
  ratio(['exits', 'Exits per second of a VM', 'per_second', 'lower'], 'exits', 'vms'),
  ratio(['all_exits_per_io', 'Exits of all kinds per I/O', 'number', 'lower'], 'exits', 'ios', perIo),
  ratio(
    ['exits_per_io', 'Kicks, injections and EOIs per I/O', 'number', 'lower'],
    'path_events',
    'path_ios',
    perIo,
  ),
  ratio(['cpu', 'CPU of a VM', 'percent', 'lower'], 'cpu', 'vms', percent),
  ratio(['cpu_per_1000_ios', 'CPU seconds per 1,000 I/Os', 'seconds', 'lower'], 'cpu', 'ios', {
    factor: 1000,
    isPerIo: true,
  }),
  ratio(
    ['vcpu_wait', 'Wait of the most starved vCPU of a VM', 'percent', 'lower'],
    'vcpu_wait',
    'vms',
    percent,
  ),
  ratio(['throttled', 'Throttled by a CPU quota', 'percent', 'lower'], 'throttled', 'vms', percent),
  ratio(['halt_poll', 'CPU of failed halt polls', 'percent', 'lower'], 'halt_poll', 'vms', percent),
  ratio(
    ['exit_duration_p99', '99th percentile of the time of an exit', 'seconds', 'lower'],
    'exit_seconds',
    'exit_seconds_vms',
  ),
];
