import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Isa, reasonsOfTheIoPath, stepOfReason } from '../../../exporter/model/io-path.ts';
import {
  type DurationCount,
  durationHistogram,
  isDuration,
  kicksOf,
  stepsOf,
  type VmTrace,
} from '../../../exporter/model/vm-trace.ts';
import { NOTHING_TRACED } from '../../../testing/vm-trace.ts';

const stages = (trace: Partial<VmTrace>, isa: Isa = 'vmx') =>
  Object.fromEntries(stepsOf({ ...NOTHING_TRACED, ...trace }, isa));
const exit = (reason: number | undefined, count: number) => ({ thread: 'vcpu0', reason, count });

test('kicks and EOIs come from their own events, halts and injections from the exit’s reason', () => {
  const exits = [
    exit(1, 10),
    exit(7, 1),
    exit(12, 20),
    exit(44, 5),
    exit(49, 30),
    exit(30, 4),
    exit(undefined, 3),
  ];
  assert.deepEqual(stages({ exits, kickTotal: 25, eois: 6 }), {
    kick: 25,
    inject: 11,
    halt: 20,
    eoi: 6,
    other: 11,
  });
});

test('without EOI events, EOIs come from the exit’s reason', () => {
  assert.equal(stages({ exits: [exit(44, 5), exit(12, 1)], kickTotal: 0 })['eoi'], 5);
});

test('a step without counts is absent, and other needs all steps', () => {
  assert.deepEqual(stages({}), {});
  assert.deepEqual(stages({ kickTotal: 3 }), { kick: 3 });
  assert.deepEqual(stages({ exits: [exit(12, 1), exit(49, 9)] }), { inject: 0, halt: 1, eoi: 0 });
  assert.deepEqual(stages({ exits: [], kickTotal: 0, eois: 0 }), {
    kick: 0,
    inject: 0,
    halt: 0,
    eoi: 0,
    other: 0,
  });
});

test('maps that were read one after the other make no step negative', () => {
  assert.equal(stages({ exits: [exit(12, 1)], kickTotal: 5, eois: 1 })['other'], 0);
});

test('the steps add up to all exits', () => {
  const isas = fc.constantFrom<Isa>('vmx', 'svm', 'arm64');
  const counts = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 1e6 })), { maxLength: 20 });
  fc.assert(
    fc.property(
      isas,
      counts,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (isa, pairs, share, part) => {
        const reasons = [...reasonsOfTheIoPath(isa), 3, 5000];
        const exits = pairs.map(([i, count]) => exit(reasons[i % reasons.length], count));
        const carriers = exits.filter(
          ({ reason }) => reason !== undefined && ['other', 'eoi'].includes(stepOfReason(isa, reason)),
        );
        const room = carriers.reduce((sum, { count }) => sum + count, 0);
        const kickTotal = Math.floor(room * share * part);
        const eois = Math.floor((room - kickTotal) * share);
        const found = stepsOf({ ...NOTHING_TRACED, exits, kickTotal, eois }, isa);
        assert.equal(found.size, 5);
        const all = exits.reduce((sum, { count }) => sum + count, 0);
        assert.equal(
          [...found.values()].reduce((sum, count) => sum + count, 0),
          all,
        );
        assert.ok([...found.values()].every((count) => count >= 0));
      },
    ),
  );
});

test('kicksOf() keeps the kicks of all writes unchanged', () => {
  const write = (event: 'kvm_fast_mmio' | 'kvm_mmio' | 'kvm_pio', address: number) => ({
    event,
    address,
    thread: 'vcpu0',
    count: 2,
  });
  const kicks = [write('kvm_fast_mmio', 0xfee00000), write('kvm_mmio', 0xfebfb000), write('kvm_pio', 0xc010)];
  assert.deepEqual(kicksOf([write('kvm_mmio', 0xfee000b0), ...kicks, write('kvm_pio', 0x3f8)]), kicks);
});

const duration = (exponent: number, count: number, sumNs = count * 2 ** exponent): DurationCount => ({
  exponent,
  count,
  sumNs,
});
const below = (durations: readonly DurationCount[], seconds: number) =>
  durationHistogram(durations).buckets.find(({ le }) => le === seconds)?.count;

test('the kernel’s powers of two are the bounds: bucket n ends at 2^n ns', () => {
  const durations = [
    duration(0, 1),
    duration(9, 2),
    duration(10, 4),
    duration(11, 8),
    duration(30, 16),
    duration(31, 32),
  ];
  assert.deepEqual(
    [512e-9, 1024e-9, 2048e-9, 2 ** 30 / 1e9].map((le) => below(durations, le)),
    [3, 7, 15, 31],
  );
  const { count, sum, buckets } = durationHistogram(durations);
  assert.equal(count, 63);
  assert.equal(sum, durations.reduce((total, { sumNs }) => total + sumNs, 0) / 1e9);
  assert.equal(buckets.length, 15);
});

test('negative durations are dropped with their sum', () => {
  const { count, sum } = durationHistogram([
    duration(12, 3, 9000),
    duration(64, 2, 2 ** 64),
    duration(63, 1, 2 ** 63),
  ]);
  assert.deepEqual([count, sum], [3, 9000 / 1e9]);
  assert.deepEqual(
    [0, 62, 63, 64].map((exponent) => isDuration(duration(exponent, 1))),
    [true, true, false, false],
  );
});

test('counts of several threads for the same power are added', () => {
  assert.equal(below([duration(9, 2), duration(9, 3)], 512e-9), 5);
});

test('no durations make an empty histogram', () => {
  const { count, sum, buckets } = durationHistogram([]);
  assert.deepEqual([count, sum, buckets.every((bucket) => bucket.count === 0)], [0, 0, true]);
});

test('no step of a confidential guest is derived from an exit reason', () => {
  const exits = [{ thread: 'vcpu0', reason: 12, count: 5 }];
  const hides = new Map([
    ['kicks', ['tdx']],
    ['exits', ['tdx']],
  ] as const);
  const steps = (kickTotal: number, eois?: number) =>
    Object.fromEntries(stepsOf({ ...NOTHING_TRACED, exits, kickTotal, eois }, 'vmx', hides));
  assert.deepEqual(steps(0), {});
  // An event of its own is no guess.
  assert.deepEqual(steps(7, 3), { kick: 7, eoi: 3 });
});
