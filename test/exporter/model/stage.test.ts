import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { STAGES, type Stage } from '../../../exporter/metrics/stages.ts';
import { FEATURES, type Feature } from '../../../exporter/model/features.ts';
import { type Measured, STAGE_RULES, stageOf } from '../../../exporter/model/stage.ts';

const AFFINITY: Feature[] = ['vcpus_pinned', 'io_threads_pinned', 'io_separate_from_vcpus'];
const POLLING: Feature[] = [...AFFINITY, 'iothread_polling'];
const BATCHING: Feature[] = [...POLLING, 'multiqueue', 'dedicated_iothreads'];
const PINNED: Feature[] = [...BATCHING, 'queue_per_vcpu'];

function stage(on: readonly Feature[], measured?: Measured, off: readonly Feature[] = []): Stage {
  return stageOf(
    new Map([...off.map((feature) => [feature, 0] as const), ...on.map((feature) => [feature, 1] as const)]),
    measured,
  );
}

const rank = (of: Stage): number => STAGES.indexOf(of);

test('the stages follow each other if their features are enabled one after another', () => {
  assert.deepEqual(
    [[], AFFINITY, POLLING, BATCHING, PINNED].map((on) => stage(on)),
    STAGES,
  );
  assert.deepEqual(STAGES, [
    'original',
    'affinity',
    'exitless_polling',
    'parallel_batching',
    'pinned_queues',
  ]);
});

test('each stage needs those below it, and each of its features', () => {
  for (const missing of AFFINITY) {
    assert.equal(stage(PINNED.filter((feature) => feature !== missing)), 'original', missing);
  }
  const without = (missing: Feature) => stage(PINNED.filter((feature) => feature !== missing));
  assert.equal(without('iothread_polling'), 'affinity');
  assert.equal(without('multiqueue'), 'exitless_polling');
  assert.equal(without('dedicated_iothreads'), 'exitless_polling');
  assert.equal(without('queue_per_vcpu'), 'parallel_batching');
});

test('there is more than one way to poll, and to serve queues in parallel', () => {
  assert.equal(stage([...AFFINITY, 'sqpoll']), 'exitless_polling');
  assert.equal(stage([...POLLING, 'multiqueue', 'iothread_vq_mapping']), 'parallel_batching');
});

test('a VM on two nodes does not have the affinity stage; a VM with unknown nodes may have it', () => {
  assert.equal(stage(PINNED, {}, ['numa_local']), 'original');
  assert.equal(stage([...AFFINITY, 'numa_local']), 'affinity');
});

test('polling is not in force while most I/Os cost an exit of any sort', () => {
  for (const key of ['kicksPerIo', 'injectionsPerIo'] as const) {
    assert.equal(stage(POLLING, { [key]: 0.9 }), 'affinity', key);
    assert.equal(stage(POLLING, { [key]: 0.5 }), 'affinity', key);
    assert.equal(stage(POLLING, { [key]: 0.1 }), 'exitless_polling', key);
  }
  assert.equal(stage(POLLING, { kicksPerIo: 0, injectionsPerIo: undefined }), 'exitless_polling');
});

test('batching and pinned queues must show in what is measured', () => {
  assert.equal(stage(PINNED, { iosPerKick: 1 }), 'exitless_polling');
  assert.equal(stage(PINNED, { iosPerKick: 1.9 }), 'exitless_polling');
  assert.equal(stage(PINNED, { iosPerKick: 2 }), 'pinned_queues');
  assert.equal(stage(PINNED, { queueLocality: 0.8 }), 'pinned_queues');
  assert.equal(stage(PINNED, { queueLocality: 0.79 }), 'parallel_batching');
  assert.equal(stage(PINNED, { iosPerKick: Number.POSITIVE_INFINITY }), 'pinned_queues');
  assert.equal(stage(PINNED, { queueLocality: 0.25 }), 'parallel_batching');
  assert.equal(stage(PINNED, { queueLocality: 0.97 }), 'pinned_queues');
});

test('each rule names its section of the paper', () => {
  assert.deepEqual(
    STAGE_RULES.map(({ section }) => section),
    ['4.1.2', '4.1', '4.1.1', '5'],
  );
});

const features = fc
  .array(fc.constantFrom(undefined, 0, 1), { minLength: FEATURES.length, maxLength: FEATURES.length })
  .map((values) => {
    const map = new Map<Feature, number>();
    FEATURES.forEach((feature, i) => {
      const value = values[i];
      if (value !== undefined) map.set(feature, value);
    });
    return map;
  });

test('one more feature never leads to a lower stage, and a measurement never to a higher', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        features,
        fc.subarray(PINNED).map((on) => new Map(on.map((feature) => [feature, 1] as const))),
      ),
      fc.constantFrom(...FEATURES),
      fc.float({ min: 0, max: 2, noNaN: true }),
      (given, feature, value) => {
        const before = rank(stageOf(given));
        assert.ok(rank(stageOf(new Map([...given, [feature, 1]]))) >= before);
        for (const key of ['kicksPerIo', 'injectionsPerIo', 'iosPerKick', 'queueLocality'] as const) {
          assert.ok(rank(stageOf(given, { [key]: value })) <= before);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
