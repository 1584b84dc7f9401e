import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { STAGES } from '../../../exporter/metrics/stages.ts';
import { TECHNIQUE_STATES, TECHNIQUES } from '../../../exporter/metrics/techniques.ts';
import {
  inWords,
  STAGE_RULES,
  type States,
  stageLabel,
  stageOf,
  statesOf,
  techniquesOf,
} from '../../../exporter/model/stage.ts';
import { verdictsAt } from '../../../testing/verdicts.ts';

test('a stage is detected if exactly its techniques are in force', () => {
  assert.deepEqual(
    STAGES.map((stage) => stageOf(statesOf(verdictsAt(stage)))),
    STAGES,
  );
  assert.deepEqual(TECHNIQUES, STAGES.slice(1));
});

test('without a fitting stage the techniques in force are named', () => {
  const at = (states: Partial<States>) => statesOf(verdictsAt('original', states));
  const odd = at({ affinity: 'lost', exitless_polling: 'in_force', parallel_batching: 'in_force' });
  assert.deepEqual(
    [stageOf(odd), stageLabel(odd), inWords(odd)],
    [undefined, 'polling, batching', 'polling, batching; affinity lost'],
  );
  const half = at({ affinity: 'partly' });
  assert.deepEqual([stageOf(half), stageLabel(half)], [undefined, 'affinity partly']);
  assert.equal(stageOf(at({ affinity: 'lost' })), 'original');
  assert.equal(inWords(at({ affinity: 'lost' })), 'nothing in force; affinity lost');
});

test('an unknown technique leaves the stage unknown', () => {
  for (const technique of TECHNIQUES) {
    const states = statesOf(verdictsAt('pinned_queues', { [technique]: 'unknown' }));
    assert.deepEqual([stageOf(states), stageLabel(states)], [undefined, undefined]);
    assert.match(inWords(states), /unknown$/);
  }
});

test('each rule names its section of the paper', () => {
  assert.deepEqual(
    STAGE_RULES.map(({ section }) => section),
    ['4.1.2', '4.1', '4.1.1', '5'],
  );
});

test('a stage never claims a technique that is not in force, and its words name each that is', () => {
  const states = fc.record(
    Object.fromEntries(TECHNIQUES.map((technique) => [technique, fc.constantFrom(...TECHNIQUE_STATES)])),
  ) as fc.Arbitrary<States>;
  fc.assert(
    fc.property(states, (each) => {
      const stage = stageOf(each);
      const inForce = TECHNIQUES.filter((technique) => each[technique] === 'in_force');
      if (stage !== undefined) assert.deepEqual(techniquesOf(stage), inForce);
      assert.equal(inWords(each).startsWith('nothing in force'), inForce.length === 0);
      assert.notEqual(stageLabel(each), '');
    }),
  );
});
