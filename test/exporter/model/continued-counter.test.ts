import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ContinuedCounter, CounterSet, CounterSets } from '../../../exporter/model/continued-counter.ts';

const one = (counter: ContinuedCounter, source: string, reading: number): number =>
  counter.take(source, [['', reading]]);

test('another source continues from the last value with its own growth', () => {
  const counter = new ContinuedCounter();
  assert.equal(one(counter, 'debugfs', 9.7), 9.7);
  assert.equal(one(counter, 'qmp', 23), 9.7);
  assert.equal(one(counter, 'qmp', 24), 10.7);
});

test('a source that returns is credited with its growth during the gap', () => {
  const counter = new ContinuedCounter();
  one(counter, 'qmp', 100);
  one(counter, 'debugfs', 150);
  assert.equal(one(counter, 'debugfs', 170), 120);
  assert.equal(one(counter, 'qmp', 200), 200);
  assert.equal(one(counter, 'debugfs', 210), 200);
  assert.equal(one(counter, 'debugfs', 215), 205);
});

test('two alternating sources with equal values give the true value, one turn late at most', () => {
  const counter = new ContinuedCounter();
  for (let i = 0; i < 100; i++) {
    const value = one(counter, i % 2 === 0 ? 'qmp' : 'debugfs', 1000 + i * 10);
    assert.ok(value <= 1000 + i * 10 && value >= 1000 + (i - 1) * 10, `${i}: ${value}`);
  }
});

test('a reset loses the counts in between; a late reading loses nothing', () => {
  const counter = new ContinuedCounter();
  one(counter, 'debugfs', 1000);
  assert.equal(one(counter, 'debugfs', 10), 1000);
  assert.equal(one(counter, 'debugfs', 15), 1005);
  assert.equal(one(counter, 'debugfs', 14), 1005, 'late');
  assert.equal(one(counter, 'debugfs', 16), 1006);
});

test('a fluctuating difference is not taken for a reset', () => {
  const counter = new ContinuedCounter('wavering');
  for (let i = 0; i < 10; i++) assert.equal(one(counter, 'tracefs', i % 2 === 0 ? 3 : 0), 3);
});

test('a vCPU that is unplugged stays in the sum, and a new one joins it', () => {
  const counter = new ContinuedCounter();
  const take = (parts: Record<string, number>): number => counter.take('qmp', Object.entries(parts));
  assert.equal(take({ 0: 10, 1: 20 }), 30);
  assert.equal(take({ 0: 11 }), 31);
  assert.equal(take({ 0: 11, 2: 5 }), 36);
  assert.equal(take({ 0: 11, 1: 21, 2: 5 }), 37);
});

test('a counter that is not used is forgotten, and so are those of a subject that is gone', () => {
  const set = new CounterSet();
  set.one('a', 's', 10);
  set.one('b', 's', 10);
  set.forgetUnused();
  set.one('a', 's', 11);
  set.forgetUnused();
  assert.deepEqual([set.one('a', 's', 5), set.one('b', 's', 5)], [11, 5]);
  const sets = new CounterSets();
  sets.of('vm').one('a', 's', 10);
  sets.keep(['vm']);
  assert.equal(sets.of('vm').one('a', 's', 3), 10);
  sets.keep([]);
  assert.equal(sets.of('vm').one('a', 's', 3), 3);
});

test('the counter never falls, for any sources and any parts', () => {
  const reading = fc.tuple(
    fc.constantFrom('qmp', 'libvirt', 'debugfs'),
    fc.dictionary(fc.constantFrom('0', '1', '2'), fc.nat(1000)),
  );
  fc.assert(
    fc.property(fc.constantFrom('restarting', 'wavering'), fc.array(reading), (kind, readings) => {
      const counter = new ContinuedCounter(kind);
      let before = 0;
      for (const [source, parts] of readings) {
        const now = counter.take(source, Object.entries(parts));
        assert.ok(now >= before, `${now} after ${before}`);
        before = now;
      }
    }),
  );
});

test('sources that count the same thing never make it more than the truth', () => {
  const step = fc.tuple(fc.constantFrom('qmp', 'libvirt', 'debugfs'), fc.nat(100));
  fc.assert(
    fc.property(fc.nat(1000), fc.array(step), (start, steps) => {
      const counter = new ContinuedCounter();
      let truth = start;
      one(counter, 'qmp', truth);
      for (const [source, grown] of steps) {
        truth += grown;
        assert.ok(one(counter, source, truth) <= truth);
      }
    }),
  );
});
