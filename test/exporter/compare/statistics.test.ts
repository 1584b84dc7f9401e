import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparePairs } from '../../../testing/comparison-trials.ts';

// An hour at 15 s, with an AR(1) of 0.8 and a spread of 4%. `npm run bench -- compare` has more pairs and other series.
const HOUR = { samples: 240 };
const PAIRS = 200;

test('two hours of the same are no significant change in at least 95% of 200 pairs', () => {
  for (const [id, { same, unknown }] of comparePairs(PAIRS, 0, HOUR)) {
    assert.equal(unknown, 0, id);
    assert.ok(same >= 0.95 * PAIRS, `${id}: ${same} of ${PAIRS}`);
  }
});

test('a load that changes every three minutes is no change of a metric for one I/O', () => {
  const outcomes = comparePairs(PAIRS, 0, { ...HOUR, load: { swing: 0.3, lasts: 12 } });
  for (const id of ['exits_per_io', 'cpu_per_1000_ios']) {
    const { same = 0 } = outcomes.get(id) ?? {};
    assert.ok(same >= 0.95 * PAIRS, `${id}: ${same} of ${PAIRS}`);
  }
});

test('a change of 5% is found in at least 90% of 200 pairs, and its interval has it in 93% to 97%', () => {
  const outcomes = [...comparePairs(PAIRS, 0.05, HOUR)];
  for (const [id, { changed }] of outcomes)
    assert.ok(changed >= 0.9 * PAIRS, `${id}: ${changed} of ${PAIRS}`);
  // The four series of a pair are independent.
  const covered = outcomes.reduce((sum, [, outcome]) => sum + outcome.covered, 0) / (4 * PAIRS);
  assert.ok(covered >= 0.93 && covered <= 0.97, `${covered}`);
});
