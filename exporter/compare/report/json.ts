import type {
  AssessedConfiguration,
  Assessment,
  Change,
  Comparing,
  Estimate,
  HostChange,
} from '../statistics/assessment.ts';
import { causeTexts } from './causes.ts';

/** Raised if a field is removed or changes its meaning. */
const VERSION = 1;

/** The assessment as JSON, without the time lines: docs/compare.md describes it. Unknown numbers are null. */
export function renderJson(assessment: Assessment): string {
  const { subject, confidence, metrics, configurations } = assessment;
  const report = {
    version: VERSION,
    subject,
    confidence,
    metrics,
    causes: causeTexts(assessment),
    configurations: configurations.map(
      ({ estimates, againstFirst, againstPrevious, techniques, changesOfHosts, ...about }) => ({
        ...about,
        techniques: Object.fromEntries(
          [...techniques].map(([technique, states]) => [technique, Object.fromEntries(states)]),
        ),
        values: Object.fromEntries([...estimates].map(([id, estimate]) => [id, valueJson(estimate)])),
        againstFirst: comparingJson(againstFirst),
        againstPrevious: comparingJson(againstPrevious),
        ...(changesOfHosts === undefined ? {} : { hostsAgainstFirst: hostsJson(changesOfHosts) }),
      }),
    ),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function valueJson({ value, interval, samples, effectiveSamples, why }: Estimate): object {
  return {
    value: value ?? null,
    interval: interval ?? null,
    samples,
    effectiveSamples: Number(effectiveSamples.toFixed(1)),
    ...(why === undefined ? {} : { why }),
  };
}

function comparingJson(comparing: Comparing | undefined): object | null {
  if (comparing === undefined) return null;
  const { base, differences, changes } = comparing;
  return {
    base,
    differences,
    changes: Object.fromEntries([...changes].map(([id, change]) => [id, changeJson(change)])),
  };
}

function hostsJson(byMetric: NonNullable<AssessedConfiguration['changesOfHosts']>): object {
  const json = ({ host, change }: HostChange): object => ({ host, ...changeJson(change) });
  return Object.fromEntries([...byMetric].map(([id, changes]) => [id, changes.map(json)]));
}

function changeJson({ verdict, gain, interval, p, isComparable, why }: Change): object {
  return {
    verdict,
    gain: gain ?? null,
    interval: interval ?? null,
    p: p ?? null,
    isComparable,
    ...(why === undefined ? {} : { why }),
  };
}
