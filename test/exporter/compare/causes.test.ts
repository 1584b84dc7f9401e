import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causeTexts } from '../../../exporter/compare/report/causes.ts';
import { renderHtml } from '../../../exporter/compare/report/html.ts';
import { renderJson } from '../../../exporter/compare/report/json.ts';
import { renderMarkdown } from '../../../exporter/compare/report/markdown.ts';
import { renderTable } from '../../../exporter/compare/report/table.ts';
import type {
  AssessedConfiguration,
  Assessment,
  Change,
  Estimate,
} from '../../../exporter/compare/statistics/assessment.ts';
import type { Technique, TechniqueState } from '../../../exporter/metrics/techniques.ts';
import { testConfiguration, UNKNOWN_WORK } from '../../../testing/comparison.ts';

type Values = Readonly<Record<string, number>>;

function estimates(values: Values): AssessedConfiguration['estimates'] {
  const of = (value: number): Estimate => ({
    value,
    interval: undefined,
    samples: 100,
    effectiveSamples: 100,
    why: undefined,
    line: [],
  });
  return new Map(Object.entries(values).map(([id, value]) => [id, of(value)]));
}

/** Two configurations: the I/O rate of the second is half as high. */
function assessed(
  before: Values,
  after: Values,
  lost: readonly Technique[] = [],
  change: Partial<Change> = {},
): Assessment {
  const {
    observations: _,
    interval: __,
    ...about
  } = testConfiguration('before', {
    work: { ...UNKNOWN_WORK, vcpus: 2 },
  });
  const changes = new Map<string, Change>([
    [
      'iops',
      {
        verdict: 'worse',
        gain: -0.5,
        interval: undefined,
        p: 0.001,
        from: 1000,
        to: 500,
        why: undefined,
        isComparable: true,
        ...change,
      },
    ],
  ]);
  const techniques = new Map<Technique, ReadonlyMap<TechniqueState, number>>(
    lost.map((technique) => [technique, new Map([['lost', 1]])]),
  );
  const none = { againstFirst: undefined, againstPrevious: undefined };
  const first = { ...about, ...none, estimates: estimates({ iops: 1000, ...before }) };
  const comparing = { base: 'before', differences: [], changes };
  const second = {
    ...about,
    ...none,
    name: 'after',
    techniques,
    estimates: estimates({ iops: 500, ...after }),
    againstFirst: comparing,
  };
  return { subject: 'web-1', confidence: 0.95, metrics: [], configurations: [first, second] };
}

const textOf = (assessment: Assessment): string | undefined => causeTexts(assessment)[0]?.text;
const CALM: Values = { cpu: 100, throttled: 0, run_queue_wait: 0 };

test('a quota, and no wait that it explains', () => {
  // It wants a CPU. The quota leaves half of it, and the scheduler counts the other half as wait.
  const quota = assessed(CALM, { cpu: 50, throttled: 50, run_queue_wait: 1 });
  assert.match(
    textOf(quota) ?? '',
    /^Changed with it, strongest first: a CPU quota takes 50% of the CPU time that the VM wants, before 0% \(up to 100% of the loss\)\. Not known: .*device/,
  );
  const wait = assessed(CALM, { cpu: 50, throttled: 0, run_queue_wait: 1 });
  assert.match(
    textOf(wait) ?? '',
    /first: its threads wait for a CPU 50% of the time in which they want one/,
  );
});

test('a lost technique with the resulting exits', () => {
  const polling = assessed({ exits_per_io: 0.1 }, { exits_per_io: 3 }, ['exitless_polling']);
  assert.match(textOf(polling) ?? '', /first: a technique was lost \(polling: 100% of the time\)/);
});

test('nothing changed, and no worsening', () => {
  assert.match(textOf(assessed(CALM, CALM)) ?? '', /first: nothing that this report reads\./);
  for (const change of [
    { verdict: 'same' },
    { verdict: 'better' },
    { isComparable: false },
    { from: undefined },
  ] as const)
    assert.deepEqual(causeTexts(assessed(CALM, CALM, [], change)), []);
});

test('every format of the report has the causes', () => {
  const quota = assessed(CALM, { cpu: 50, throttled: 50, run_queue_wait: 1 });
  for (const render of [renderTable, renderMarkdown, renderHtml, renderJson])
    assert.match(render(quota).replace(/\s+/g, ' '), /a CPU quota takes 50% of the CPU time/, render.name);
});
