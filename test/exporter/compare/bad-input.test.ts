import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeGates, parseGate } from '../../../exporter/compare/gate.ts';
import type { Configuration, Observation } from '../../../exporter/compare/model.ts';
import { renderHtml } from '../../../exporter/compare/report/html.ts';
import { renderJson } from '../../../exporter/compare/report/json.ts';
import { renderMarkdown } from '../../../exporter/compare/report/markdown.ts';
import { renderTable } from '../../../exporter/compare/report/table.ts';
import { assess } from '../../../exporter/compare/statistics/assess.ts';
import { noisyConfiguration, testComparison, testConfiguration } from '../../../testing/comparison.ts';
import { TRIAL_RATES } from '../../../testing/comparison-trials.ts';

const HOUR = noisyConfiguration('hour', TRIAL_RATES, { seed: 1, samples: 240 });
const [{ start }] = HOUR.spans as readonly [{ start: number; end: number }];

/** A configuration of which only the exits per I/O are known. */
function withSums(sums: readonly (readonly number[])[], about: Partial<Configuration> = {}): Configuration {
  const observations = sums.map((each, i) => ({ at: start + 75 + 15 * i, seconds: 15, sums: each }));
  const spans = [{ start, end: start + 75 + 15 * sums.length }];
  return testConfiguration('other', {
    spans,
    observations: new Map([['exits_per_io', observations]]),
    ...about,
  });
}

function changeOf(first: Configuration, second: Configuration) {
  const [, assessed] = assess(testComparison(first, second), { confidence: 0.95 }).configurations;
  const change = assessed?.againstFirst?.changes.get('exits_per_io');
  assert.ok(change !== undefined);
  return change;
}

const constant = (sums: readonly number[], count = 240) => Array.from({ length: count }, () => sums);

test('a configuration without samples, or with few, is unknown with the reason', () => {
  const cases: [Configuration, RegExp][] = [
    [withSums([]), /^no samples$/],
    [withSums([[3, 1]]), /^only 1 samples? after the warm-up, and 20 are needed$/],
    [withSums(constant([3, 0])), /its denominator is 0/],
    [withSums(constant([Number.NaN, Number.POSITIVE_INFINITY])), /no sample is a finite number/],
    [withSums(constant([3, 1]), { spans: [{ start, end: start + 20 }] }), /within the warm-up/],
    [withSums([...constant([0, 0]), [3, 1]]), /one sample holds/],
  ];
  for (const [configuration, why] of cases) {
    const change = changeOf(HOUR, configuration);
    assert.equal(change.verdict, 'unknown', String(why));
    assert.match(change.why ?? '', why);
  }
});

test('samples that are not finite are left out, and the others count', () => {
  const sums = constant([3, 1]).map((each, i) => (i % 10 === 0 ? [Number.NaN, 1] : each));
  const change = changeOf(withSums(constant([3, 1])), withSums(sums));
  assert.equal(change.verdict, 'same');
});

test('a base of 0 has no gain: the verdict names both values', () => {
  const [zero, three] = [withSums(constant([0, 1])), withSums(constant([3, 1]))];
  const rise = changeOf(zero, three);
  assert.deepEqual([rise.verdict, rise.gain, rise.from, rise.to], ['worse', undefined, 0, 3]);
  const fall = changeOf(three, zero);
  assert.deepEqual([fall.verdict, fall.gain], ['better', -1]);
  assert.equal(changeOf(zero, zero).verdict, 'same');
  const report = renderTable(assess(testComparison(zero, three), { confidence: 0.95 }));
  assert.match(report, /from 0 to 3/);
});

test('one event in an hour is no change from zero events', () => {
  const one = [...constant([0, 1], 100), [1, 1], ...constant([0, 1], 139)];
  assert.equal(changeOf(withSums(constant([0, 1])), withSums(one)).verdict, 'same');
});

test('a series without noise is compared without division by 0', () => {
  const change = changeOf(withSums(constant([3, 1])), withSums(constant([3.3, 1])));
  assert.equal(change.verdict, 'worse');
  assert.ok(Math.abs(Number(change.gain) - 0.1) < 1e-9);
});

test('observations outside the spans and in the warm-up do not count', () => {
  const early: Observation = { at: start + 60, seconds: 15, sums: [1e9, 1] };
  const late: Observation = { at: start + 1e6, seconds: 15, sums: [1e9, 1] };
  const inside = withSums(constant([3, 1])).observations.get('exits_per_io') ?? [];
  const observations = new Map([['exits_per_io', [early, ...inside, late]]]);
  const change = changeOf(withSums(constant([3, 1])), withSums(constant([3, 1]), { observations }));
  assert.equal(change.to, 3);
});

test('any numbers give an assessment, a report in each form and a verdict of each gate', () => {
  const number = fc.oneof(fc.double(), fc.double({ min: 0, max: 1e6 }), fc.constantFrom(0, -1, Number.NaN));
  const series = fc.array(fc.array(number, { minLength: 2, maxLength: 2 }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(series, { minLength: 0, maxLength: 4 }), fc.string(), (all, name) => {
      const configurations = all.map((sums) => ({ ...withSums(sums), name }));
      const assessment = assess(testComparison(...configurations), { confidence: 0.95 });
      for (const render of [renderTable, renderMarkdown, renderHtml, renderJson]) {
        const text = render(assessment);
        assert.doesNotMatch(text.replaceAll(name, ''), /undefined|\[object/);
      }
      JSON.parse(renderJson(assessment));
      const verdicts = judgeGates([parseGate('exits_per_io>+10%')], assessment);
      assert.equal(verdicts.length, Math.max(0, all.length - 1));
      for (const { againstFirst } of assessment.configurations)
        for (const [, { interval, gain }] of againstFirst?.changes ?? []) {
          if (interval === undefined || gain === undefined) continue;
          assert.ok(interval[0] <= gain + 1e-9 && gain - 1e-9 <= interval[1], `${interval} ${gain}`);
        }
    }),
    { numRuns: 150 },
  );
});
