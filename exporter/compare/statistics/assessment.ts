import type { ComparedMetric, Configuration } from '../model.ts';

export type Interval = readonly [low: number, high: number];

/** One metric in one configuration. */
export interface Estimate {
  /** undefined if there are no samples, or if the metric is not defined for them. */
  readonly value: number | undefined;
  /** undefined if it cannot be said; `why` has the reason. */
  readonly interval: Interval | undefined;
  /** Observations that count, after the warm-up. */
  readonly samples: number;
  /** Number of independent samples that would give the same accuracy. */
  readonly effectiveSamples: number;
  /** Why there is no value or no interval: `only 12 samples, and 20 are needed`. */
  readonly why: string | undefined;
  /** The value over the time, in at most 120 points: seconds of the epoch, value. */
  readonly line: readonly (readonly [at: number, value: number])[];
}

/** `changed`: significant, of a metric of which neither more nor less is better. */
export type Verdict = 'better' | 'worse' | 'changed' | 'same' | 'unknown';

/** One metric of a configuration against another configuration. */
export interface Change {
  readonly verdict: Verdict;
  /** 0.12 is 12% more. undefined if it is not known, or if the base is 0. */
  readonly gain: number | undefined;
  /** Of the gain, with the confidence of the assessment, for this metric by itself. */
  readonly interval: Interval | undefined;
  /** Holm's corrected p value over the metrics. */
  readonly p: number | undefined;
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Why the verdict is `unknown`. */
  readonly why: string | undefined;
  /** Whether the work was the same, as far as it concerns this metric. */
  readonly isComparable: boolean;
}

/** A difference of the work that makes metrics incomparable. */
export interface Difference {
  /** `reads are 70% of the I/Os, before 100%`. */
  readonly text: string;
  /** Whether it concerns metrics for one I/O too. */
  readonly concernsPerIo: boolean;
}

/** Against one configuration: the first, or the one before. */
export interface Comparing {
  /** The name of the other configuration. */
  readonly base: string;
  readonly differences: readonly Difference[];
  /** By the id of the metric. */
  readonly changes: ReadonlyMap<string, Change>;
}

export interface AssessedConfiguration extends Omit<Configuration, 'interval' | 'observations'> {
  /** Share of the time in each state, 0 to 1. */
  readonly techniques: Configuration['techniques'];
  /** By the id of the metric: one for each metric. */
  readonly estimates: ReadonlyMap<string, Estimate>;
  /** undefined for the first configuration. */
  readonly againstFirst: Comparing | undefined;
  readonly againstPrevious: Comparing | undefined;
  /** Where hosts are the samples: the change of each host that was in the first configuration too, by the id of the metric. */
  readonly changesOfHosts?: ReadonlyMap<string, readonly HostChange[]>;
}

/** Its p value is corrected for the number of hosts. */
export interface HostChange {
  readonly host: string;
  readonly change: Change;
}

export interface Assessment {
  readonly subject: string;
  /** Of all intervals: 0.95. */
  readonly confidence: number;
  /** Those for one I/O first if the work differed. */
  readonly metrics: readonly Omit<ComparedMetric, 'valueOf'>[];
  readonly configurations: readonly AssessedConfiguration[];
  /** How to read the report, if not as that of VMs. */
  readonly method?: readonly string[];
}
