import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Row } from '../../../../exporter/trace/bpf/rows.ts';
import { apportion, SampledExits } from '../../../../exporter/trace/bpf/sampled-exits.ts';

const row = (reason: number, weight: number, passed: number, exits: number, tid = 1): Row => ({
  tid,
  fields: [reason],
  weight,
  more: [passed, exits],
});
const totals = (rows: readonly Row[]): number[] => rows.map(({ weight }) => weight);

test('if every exit is in the sample, exits count as they are, whatever KVM counts', () => {
  const exits = new SampledExits();
  assert.deepEqual(totals(exits.take([row(12, 5, 5, 1000), row(48, 7, 7, 1003)])), [5, 7]);
  assert.deepEqual(totals(exits.take([row(12, 6, 6, 1020), row(48, 7, 7, 1003)])), [6, 7]);
});

test("a sample gives the shares of the growth of KVM's counter", () => {
  const exits = new SampledExits();
  exits.take([row(12, 5, 5, 1000), row(48, 5, 5, 1001)]);
  // A sample of 6, which stands for 60; KVM counted 90.
  assert.deepEqual(totals(exits.take([row(12, 45, 9, 1080), row(48, 25, 7, 1091)])), [65, 35]);
  // No new exits.
  assert.deepEqual(totals(exits.take([row(12, 45, 9, 1080), row(48, 25, 7, 1091)])), [65, 35]);
});

test('without an earlier count of KVM, and after another thread took the id, the weights count', () => {
  const exits = new SampledExits();
  assert.deepEqual(totals(exits.take([row(12, 40, 4, 1000)])), [40]);
  assert.deepEqual(totals(exits.take([row(12, 60, 6, 10)])), [60]);
  assert.deepEqual(totals(exits.take([row(12, 80, 8, 35)])), [85]);
});

test('after the map was emptied the rows count from zero', () => {
  const exits = new SampledExits();
  exits.take([row(12, 40, 4, 1000), row(12, 1, 1, 5, 2)]);
  exits.restart((tid) => tid === 1);
  assert.deepEqual(totals(exits.take([row(12, 10, 1, 1030), row(12, 10, 1, 50, 2)])), [30, 10]);
});

test('property: shares are whole, add up to the total, and differ from the exact ones by less than one', () => {
  const weights = fc.array(fc.nat(1e6), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(weights, fc.nat(1e12), (all, total) => {
      const shares = apportion(all, total);
      const sum = all.reduce((a, b) => a + b, 0);
      assert.equal(
        shares.reduce((a, b) => a + b, 0),
        sum === 0 ? 0 : total,
      );
      shares.forEach((share, i) => {
        const exact = sum === 0 ? 0 : ((all[i] ?? 0) / sum) * total;
        assert.ok(Number.isInteger(share) && share >= 0 && Math.abs(share - exact) < 1 + total * 1e-12);
      });
    }),
  );
});

test("property: totals never fall, and grow by as much as KVM's counter while there is a sample", () => {
  const step = fc.record({
    reason: fc.nat(5),
    events: fc.integer({ min: 1, max: 500 }),
    period: fc.nat(100),
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 20 }),
      fc.nat(1e6),
      (readings, start) => {
        const exits = new SampledExits();
        const reasons = new Map<number, { weight: number; passed: number; exits: number }>();
        let kvm: number = start;
        let before = new Map<number, number>();
        let isKnown = false;
        for (const steps of readings) {
          const from = kvm;
          const wasKnown = isKnown;
          let isSample = false;
          for (const { reason, events, period } of steps) {
            const passed = Math.max(1, Math.round(events / (period + 1)));
            const old = reasons.get(reason) ?? { weight: 0, passed: 0, exits: 0 };
            kvm += events;
            isKnown = true;
            isSample ||= passed !== events;
            reasons.set(reason, { weight: old.weight + events, passed: old.passed + passed, exits: kvm });
          }
          const rows = [...reasons].map(([reason, each]) =>
            row(reason, each.weight, each.passed, each.exits),
          );
          const now = new Map(exits.take(rows).map(({ fields: [reason = 0], weight }) => [reason, weight]));
          let grown = 0;
          for (const [reason, total] of now) {
            const growth = total - (before.get(reason) ?? 0);
            assert.ok(growth >= 0);
            grown += growth;
          }
          if (wasKnown && isSample) assert.equal(grown, kvm - from);
          before = now;
        }
      },
    ),
  );
});
