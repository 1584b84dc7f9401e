import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { catalogue } from '../../../exporter/metrics/catalogue.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { labelBlock } from '../../../exporter/metrics/labels.ts';
import { fairShare, ownerOf } from '../../../exporter/metrics/shares.ts';

const demands = fc.array(fc.nat(1000), { minLength: 1, maxLength: 30 });

test('all room is used, and no VM is cut that needs at most as much as another one has', () => {
  fc.assert(
    fc.property(demands, fc.nat(5000), (wants, room) => {
      const share = fairShare(wants, room);
      const given = wants.map((want) => Math.min(want, share));
      const sum = given.reduce((a, b) => a + b, 0);
      assert.ok(sum <= room);
      const isAllGiven = wants.every((want, i) => want === given[i]);
      assert.ok(isAllGiven || room - sum < wants.length, 'but for what does not divide');
    }),
  );
});

test('if all series fit, there is no limit', () => {
  assert.equal(fairShare([1, 2, 3], 6), Number.POSITIVE_INFINITY);
  assert.equal(fairShare([], 0), Number.POSITIVE_INFINITY);
  assert.equal(fairShare([1, 2, 3], 5), 2);
  assert.equal(fairShare([10, 10], 0), 0);
});

test('the owner is the VM, whatever it is called', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (vm, thread) => {
      const owner = labelBlock({ vm });
      assert.equal(ownerOf(owner), owner);
      assert.equal(ownerOf(labelBlock({ vm, thread })), owner);
    }),
  );
  for (const vm of ['"', 'a"b', 'a\\', 'a\\"', '\\\\"\\', 'a",thread="b']) {
    const owner = labelBlock({ vm });
    assert.equal(ownerOf(labelBlock({ vm, thread: 'vcpu0' })), owner);
  }
  assert.equal(ownerOf(labelBlock({ device: 'vm="x"' })), '');
  assert.equal(ownerOf(''), '');
});

test('each metric of a VM has the VM as its first label', () => {
  for (const [name, { labels }] of Object.entries(catalogue)) {
    assert.ok(!labels.includes('vm') || labels[0] === 'vm', name);
  }
});

test('for any order of any demands, shares hold, histograms stay whole, and dropped series are counted', () => {
  const piece = fc.record({
    vm: fc.integer({ min: 0, max: 5 }),
    count: fc.nat(40),
    isHistogram: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 1, max: 200 }), (pieces, maxSeries) => {
      const families = new Families(maxSeries);
      const wanted = new Map<number, number>();
      let serial = 0;
      for (const { vm, count, isHistogram } of pieces) {
        const label = `vm${vm}`;
        for (let i = 0; i < count; i++) {
          if (vm === 0) families.add('kvm_cpu_run_seconds_total', { cpu: serial++ }, 1);
          else if (isHistogram)
            families.addHistogram(
              'kvm_vm_exit_duration_seconds',
              { vm: label, reason: serial++ },
              { buckets: [], count: 1, sum: 1 },
            );
          else families.add('kvm_vm_threads', { vm: label, role: serial++ }, 1);
          wanted.set(vm, (wanted.get(vm) ?? 0) + (isHistogram && vm !== 0 ? 3 : 1));
        }
        assert.ok(families.series <= 2 * maxSeries + 3);
      }
      families.settle();
      const all = [...wanted.values()].reduce((a, b) => a + b, 0);
      const kept = families.sorted().flatMap(({ labels }) => labels);
      assert.equal(kept.length, families.series);
      assert.ok(families.series <= maxSeries);
      assert.equal(families.dropped, all - kept.length);
      if (all <= maxSeries) assert.equal(families.dropped, 0);
      const histogram = families.sorted().find(({ type }) => type === 'histogram');
      const parts = histogram?.suffixes ?? [];
      assert.deepEqual(
        parts,
        parts.map((_, i) => ['_bucket', '_sum', '_count'][i % 3]),
      );
      assert.equal(histogram?.values.length ?? 0, parts.length);
    }),
  );
});
