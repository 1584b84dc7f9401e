import type { Series } from '../prometheus/series.ts';
import type { Span } from './model.ts';
import type { Subject } from './subject.ts';
import type { VmCounter, VmGauge } from './terms.ts';

/** Series of a metric, those whose labels have one of these values. */
export interface Selector<M extends string = VmCounter | VmGauge | 'kvm_telemetry_trace_sampled_ratio'> {
  readonly metric: M;
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

/** How to sum a counter's growth, or to average a gauge, over windows. */
export interface Windows {
  readonly kind: 'growth' | 'level';
  readonly unite: 'sum' | 'max';
  /** Labels to keep besides those of the VM. */
  readonly by: readonly string[];
  /** Length of each, and the time from one to the next. */
  readonly seconds: number;
}

/** Samples of the past: a Prometheus server or recorded files. */
export interface Archive {
  /** Name of the source, for error messages. */
  readonly name: string;
  /** Advice if the source has no samples. */
  readonly ifEmpty: string;
  /** Label sets of the series with samples in the time. */
  labelSets(selector: Selector, time: Span): Promise<readonly Series['labels'][]>;
  /** The number of samples in each of consecutive windows, with the time of the window's end. */
  presence(selector: Selector, time: Span, seconds: number): AsyncIterable<readonly Series[]>;
  /** The samples at the times of their scrapes, in pieces in order of time. */
  samples(selector: Selector, time: Span): AsyncIterable<readonly Series[]>;
  /** Numbers of consecutive windows, with the time of the window's end. undefined if `samples` costs no more. */
  readonly windows?: (selector: Selector, time: Span, how: Windows) => AsyncIterable<readonly Series[]>;
  /** Mean CPU seconds per second of a host's VMs other than these. Absent if the archive may lack some of them. */
  readonly otherVmsCpu?: (
    subjects: readonly Subject[],
    times: readonly Span[],
    interval: number,
  ) => Promise<number>;
}
