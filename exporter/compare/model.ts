import type { Technique, TechniqueState } from '../metrics/techniques.ts';

/** A time span, in seconds of the epoch: from `start`, up to but not including `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type Unit = 'per_second' | 'bytes_per_second' | 'seconds' | 'percent' | 'ratio' | 'number';

/** One metric of the report. */
export interface ComparedMetric {
  /** Name for `--metric` and `--fail-if`: `exits_per_io`. */
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  readonly better: 'higher' | 'lower' | 'neither';
  /** Whether it holds for one I/O, so that it may be compared under different loads. */
  readonly isPerIo: boolean;
  /**
   * The metric of a time, from the sums over it: one number for each of `Observation.sums`. For a ratio of sums these
   * are numerator and denominator; for a quantile, the growth of each bucket. NaN if it is not defined.
   */
  readonly valueOf: (sums: readonly number[]) => number;
}

/** The growth from one scrape to the next. There is none after a missing scrape or a counter reset. */
export interface Observation {
  /** The later scrape, in seconds of the epoch. */
  readonly at: number;
  /** Seconds since the earlier one. */
  readonly seconds: number;
  readonly sums: readonly number[];
}

/** How the VMs worked in one configuration: a difference may make a metric incomparable. undefined if unknown. */
export interface Work {
  /** Reads among the I/Os, 0 to 1. */
  readonly readShare: number | undefined;
  /** Bytes of a mean I/O. */
  readonly bytesPerIo: number | undefined;
  /** Mean number of I/Os in flight. */
  readonly inFlight: number | undefined;
  readonly iosPerSecond: number | undefined;
  readonly vcpus: number | undefined;
  /** CPU seconds per second of the other VMs on the host. */
  readonly otherVmsCpu: number | undefined;
}

/** One configuration of the report: a stage, a phase, or a time given by the user. */
export interface Configuration {
  readonly name: string;
  readonly vms: readonly string[];
  readonly hosts: readonly string[];
  readonly spans: readonly Span[];
  /** Seconds between two scrapes. */
  readonly interval: number;
  /** Warm-up: seconds after the start of each span that are left out. */
  readonly warmUp: number;
  /** By the id of the metric. Metrics without samples are missing. */
  readonly observations: ReadonlyMap<string, readonly Observation[]>;
  readonly work: Work;
  /** Seconds in each state. */
  readonly techniques: ReadonlyMap<Technique, ReadonlyMap<TechniqueState, number>>;
  /** Notes on samples that were left out or are doubtful: gaps, counter resets, estimates with their error. */
  readonly notes: readonly string[];
}

/** The input of the statistics and the report: no effects beyond it. */
export interface Comparison {
  /** `web-1`, or the pattern that chose the VMs. */
  readonly subject: string;
  readonly metrics: readonly ComparedMetric[];
  /** In the order of the report: the first is the base of all gains. */
  readonly configurations: readonly Configuration[];
}
