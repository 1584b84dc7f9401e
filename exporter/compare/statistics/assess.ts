import type { ComparedMetric, Comparison, Configuration } from '../model.ts';
import type { AssessedConfiguration, Assessment, Comparing } from './assessment.ts';
import { changesOf } from './change.ts';
import { type Estimated, estimate } from './estimate.ts';
import { differencesOf } from './same-work.ts';

export interface AssessOptions {
  /** Of the intervals, and 1 less the share of comparisons without a change in which one is reported: 0.95. */
  readonly confidence: number;
}

/** The estimates of one configuration. */
interface Measured {
  readonly configuration: Configuration;
  readonly estimates: ReadonlyMap<string, Estimated>;
}

/** Compares the configurations. It has no random numbers: the same input gives the same assessment. */
export function assess({ subject, metrics, configurations }: Comparison, options: AssessOptions): Assessment {
  const { confidence } = options;
  const measured = configurations.map((configuration) => ({
    configuration,
    estimates: new Map(metrics.map((metric) => [metric.id, estimate(metric, configuration, confidence)])),
  }));
  const [first] = measured;
  const assessed = measured.map((each, i): AssessedConfiguration => {
    const against = (base: Measured | undefined): Comparing | undefined =>
      base === undefined || i === 0 ? undefined : comparing(base, each, metrics, confidence);
    const againstFirst = against(first);
    const againstPrevious = i === 1 ? againstFirst : against(measured[i - 1]);
    const { observations: _, interval: __, techniques, ...about } = each.configuration;
    const shares = sharesOf(techniques);
    return { ...about, techniques: shares, estimates: each.estimates, againstFirst, againstPrevious };
  });
  return { subject, confidence, metrics: inOrder(metrics, assessed), configurations: assessed };
}

function comparing(
  base: Measured,
  { configuration, estimates }: Measured,
  metrics: readonly ComparedMetric[],
  confidence: number,
): Comparing {
  const differences = differencesOf(base.configuration, configuration);
  const pairs = metrics.flatMap((metric) => {
    const [from, to] = [base.estimates.get(metric.id), estimates.get(metric.id)];
    const isComparable = differences.every(({ concernsPerIo }) => metric.isPerIo && !concernsPerIo);
    return from === undefined || to === undefined ? [] : [{ metric, from, to, isComparable }];
  });
  return { base: base.configuration.name, differences, changes: changesOf(pairs, confidence) };
}

/** Metrics for one I/O first, where the work differed. */
function inOrder(
  metrics: readonly ComparedMetric[],
  configurations: readonly AssessedConfiguration[],
): Assessment['metrics'] {
  const isSameWork = configurations.every(({ againstFirst: first, againstPrevious: previous }) =>
    [first, previous].every((each) => each === undefined || each.differences.length === 0),
  );
  const texts = metrics.map(({ valueOf: _, ...text }) => text);
  return isSameWork
    ? texts
    : [...texts.filter(({ isPerIo }) => isPerIo), ...texts.filter(({ isPerIo }) => !isPerIo)];
}

function sharesOf(techniques: Configuration['techniques']): Configuration['techniques'] {
  return new Map(
    [...techniques].map(([technique, states]) => {
      const all = [...states.values()].reduce((sum, seconds) => sum + seconds, 0);
      return [
        technique,
        new Map([...states].map(([state, seconds]) => [state, all > 0 ? seconds / all : 0])),
      ];
    }),
  );
}
