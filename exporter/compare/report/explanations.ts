import type { AssessedConfiguration, Assessment } from '../statistics/assessment.ts';
import { WARM_UP } from '../statistics/samples.ts';
import { percent } from './numbers.ts';

/** How to read the report: one sentence each. */
export function methodText({ confidence, metrics }: Assessment): string[] {
  const share = percent(confidence);
  return [
    `Intervals in parentheses have a confidence of ${share}, each by itself.`,
    `A change counts as significant if it is so after Holm's correction for all ${metrics.length} metrics.`,
    `The first ${WARM_UP} s of each time are left out as warm-up.`,
  ];
}

/** In what the work differed, with its numbers. Empty if it did not. */
export function workTexts({ configurations }: Assessment): { name: string; base: string; text: string }[] {
  return configurations.flatMap(({ name, againstFirst, againstPrevious }) =>
    [...new Set([againstFirst, againstPrevious])].flatMap((comparing) =>
      (comparing?.differences ?? []).map(({ text }) => ({ name, base: comparing?.base ?? '', text })),
    ),
  );
}

/** Why some metrics are unknown, each reason once with the titles of its metrics. */
export function reasonsOf(
  { estimates }: AssessedConfiguration,
  { metrics }: Assessment,
): { why: string; titles: string[] }[] {
  const byReason = new Map<string, string[]>();
  for (const { id, title } of metrics) {
    const why = estimates.get(id)?.why;
    if (why !== undefined) byReason.set(why, [...(byReason.get(why) ?? []), title]);
  }
  return [...byReason].map(([why, titles]) => ({ why, titles }));
}

/** `affinity: in force 100%`, `exitless polling: off 20%, in force 80%`. */
export function techniqueTexts({ techniques }: AssessedConfiguration): string[] {
  return [...techniques].map(([technique, states]) => {
    const shares = [...states].filter(([, share]) => share >= 0.0005).sort(([, a], [, b]) => b - a);
    const texts = shares.map(([state, share]) => `${state.replaceAll('_', ' ')} ${percent(share)}`);
    return `${technique.replaceAll('_', ' ')}: ${texts.length === 0 ? 'unknown' : texts.join(', ')}`;
  });
}
