import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, judgeGates, parseGate } from '../../../exporter/compare/gate.ts';
import { assess } from '../../../exporter/compare/statistics/assess.ts';
import { noisyConfiguration, testComparison, testConfiguration } from '../../../testing/comparison.ts';

const RATES = { ios: 95_000, exits: 3, cpuSeconds: 1e-4, latency: 3e-4 };
const before = noisyConfiguration('before', RATES, { seed: 1, samples: 240 });
const more = noisyConfiguration('more', { ...RATES, exits: 4 }, { seed: 2, samples: 240 });
const again = noisyConfiguration('again', { ...RATES, exits: 4 }, { seed: 3, samples: 240 });

function judged(texts: readonly string[], ...configurations: (typeof before)[]) {
  const assessment = assess(testComparison(...configurations), { confidence: 0.95 });
  return judgeGates(texts.map(parseGate), assessment);
}

test('a gate fails if the whole interval is beyond the threshold', () => {
  const verdicts = judged(['exits_per_io>+10%', 'exits_per_io>+33%', 'iops < -5%'], before, more);
  assert.deepEqual(
    verdicts.map(({ outcome }) => outcome),
    ['failed', 'passed', 'passed'],
  );
  assert.equal(exitCodeOf(verdicts), 1);
});

test('a gate is judged against the first configuration, or the one before', () => {
  const verdicts = judged(['exits_per_io>10%', 'exits_per_io>10%@previous'], before, more, again);
  assert.deepEqual(
    verdicts.map(({ base, configuration, outcome }) => [base, configuration, outcome]),
    [
      ['before', 'more', 'failed'],
      ['before', 'again', 'failed'],
      ['before', 'more', 'failed'],
      ['more', 'again', 'passed'],
    ],
  );
});

test('a gate on a metric that is unknown cannot be judged', () => {
  const verdicts = judged(['iops<-5%', 'nonsense>1%'], before, testConfiguration('empty'));
  assert.deepEqual(
    verdicts.map(({ outcome, reason }) => [outcome, reason]),
    [
      ['unknown', 'no samples'],
      ['unknown', 'no metric "nonsense"'],
    ],
  );
  assert.equal(exitCodeOf(verdicts), 3);
  assert.equal(exitCodeOf([]), 0);
});

test('a text that is no gate is refused with an example', () => {
  for (const text of ['', 'iops', 'iops>', 'iops>5', 'iops>=5%', 'iops<-5%@second', '>5%', 'iops>NaN%'])
    assert.throws(() => parseGate(text), /'exits_per_io>\+10%'/, text);
});
