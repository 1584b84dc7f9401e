import type { Technique } from '../../metrics/techniques.ts';
import type { AssessedConfiguration, Assessment } from '../statistics/assessment.ts';
import { measuredMetrics } from './main-metrics.ts';
import { percent } from './numbers.ts';

/** How to read the report: one sentence each. */
export function methodText({ confidence, configurations, method = [] }: Assessment): string[] {
  const warmUp = Math.max(0, ...configurations.map((each) => each.warmUp));
  const share = `${Number((confidence * 100).toFixed(2))}%`;
  return [
    `Intervals in parentheses have a confidence of ${share}, each by itself.`,
    `A change counts as significant if it is so after Holm's correction for the number of metrics.`,
    ...method,
    ...(warmUp === 0 ? [] : [`The first ${warmUp} s of each time are left out as warm-up.`]),
  ];
}

/** The differences of the work, with their numbers. Empty if there are none. */
export function workTexts({ configurations }: Assessment): { name: string; base: string; text: string }[] {
  return configurations.flatMap(({ name, againstFirst, againstPrevious }) =>
    [...new Set([againstFirst, againstPrevious])].flatMap((comparing) =>
      (comparing?.differences ?? []).map(({ text }) => ({ name, base: comparing?.base ?? '', text })),
    ),
  );
}

/**
 * Reasons why metrics are unknown that another configuration has: each reason once, with the titles of its metrics.
 */
export function reasonsOf(
  { estimates }: AssessedConfiguration,
  assessment: Assessment,
): { why: string; titles: string[] }[] {
  const byReason = new Map<string, string[]>();
  for (const { id, title } of measuredMetrics(assessment)) {
    const why = estimates.get(id)?.why;
    if (why !== undefined) byReason.set(why, [...(byReason.get(why) ?? []), title]);
  }
  return [...byReason].map(([why, titles]) => ({ why, titles }));
}

/** `affinity: in force 100%`, `exitless polling: off 20%, in force 80%`. */
export function techniqueTexts(configuration: AssessedConfiguration): string[] {
  return [...configuration.techniques.keys()].map(
    (technique) => `${technique.replaceAll('_', ' ')}: ${techniqueText(configuration, technique)}`,
  );
}

/** `in force 80%, off 20%`: the shares of the time, the largest first. */
export function techniqueText({ techniques }: AssessedConfiguration, technique: Technique): string {
  const states = [...(techniques.get(technique) ?? [])].filter(([, share]) => share >= 0.0005);
  const texts = states
    .sort(([, a], [, b]) => b - a)
    .map(([state, share]) => `${state.replaceAll('_', ' ')} ${percent(share)}`);
  return texts.length === 0 ? 'unknown' : texts.join(', ');
}
