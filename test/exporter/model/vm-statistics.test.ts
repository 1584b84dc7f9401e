import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addBuckets,
  fromBins,
  fromLog2,
  inKvmOrder,
  UniqueNames,
} from '../../../exporter/model/vm-statistics.ts';
import { parseVcpuStats } from '../../../probes/qmp-stats.ts';
import { type CapturedHost, captured, type Moment } from '../../../testing/captured.ts';
import { cpuMs } from '../../../testing/patience.ts';

const CAPTURES: readonly [CapturedHost, Moment, string][] = [
  ['linux-nvme-vhost', 't0', 'vm-a'],
  ['linux-nvme-vhost', 't1', 'vm-a'],
  ['toy-pio-hlt', 't0', 'vm1'],
  ['toy-pio-hlt', 't1', 'vm1'],
];
const counts = fc.array(fc.nat({ max: 1e9 }), { maxLength: 40 });

/** KVM's own buckets of these times, and their sum. */
function kvmHistogram(times: readonly number[]): { buckets: number[]; sum: number } {
  const buckets = Array<number>(32).fill(0);
  for (const ns of times) {
    const bucket = Math.min(31, ns === 0 ? 0 : Math.floor(Math.log2(ns)) + 1);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  return { buckets, sum: times.reduce((a, b) => a + b, 0) };
}

function leastSum(buckets: readonly number[]): number {
  return buckets.reduce((sum, count, i) => sum + (i === 0 ? 0 : count * 2 ** (i - 1)), 0);
}

test('in captured replies only the reversed list fits the sum that KVM keeps beside it', () => {
  let decided = 0;
  for (const [host, moment, vm] of CAPTURES) {
    const reply = JSON.parse(captured(`qmp/${vm}/query-stats.vcpu.json`, host, moment)) as {
      return: unknown;
    };
    for (const { values, histograms } of parseVcpuStats(reply.return)) {
      for (const [name, list] of histograms) {
        const sum = values.get(name.replace('_hist', '_ns')) ?? Number.NaN;
        const ordered = inKvmOrder(list, sum);
        assert.deepEqual(ordered, list.toReversed(), name);
        assert.ok(leastSum(ordered) * 0.9 <= sum, `${name}: at least ${leastSum(ordered)}, kept ${sum}`);
        if (leastSum(list) > sum) decided++;
      }
    }
  }
  assert.ok(decided > 5, 'the list as it is would be impossible');
});

test('a QEMU with the fixed order is recognized by the sum; without a sum the current order is used', () => {
  const { buckets, sum } = kvmHistogram([0, 1000, 2000, 70_000]);
  assert.deepEqual(inKvmOrder(buckets.toReversed(), sum), buckets);
  assert.deepEqual(inKvmOrder(buckets, sum), buckets);
  assert.deepEqual(inKvmOrder(buckets.toReversed(), undefined), buckets);
  assert.deepEqual(inKvmOrder([], 0), []);
  assert.deepEqual(inKvmOrder([0, 0, 0], 0), [0, 0, 0]);
});

test('the first bucket starts at 0, each other one has a lower bound, and only the last has no upper bound', () => {
  // Buckets of KVM: below 1 ns, then from 2^(i-1) to 2^i.
  const [kvm, turned] = [
    [0, 0, 0, 8, 0, 0],
    [0, 0, 8, 0, 0, 0],
  ];
  assert.deepEqual(inKvmOrder(turned, 8 * 5), kvm, '8 of 4 to 8 ns');
  assert.deepEqual(inKvmOrder(kvm, 8 * 5), kvm, 'a list that is right already');
  assert.deepEqual(inKvmOrder([9, 0, 0], 1e9), [0, 0, 9], 'the last bucket has no end');
  assert.deepEqual(inKvmOrder([0, 0, 9], 1e9), [0, 0, 9], 'nor has it where the list is right already');
});

test("QEMU's list is corrected, for any times", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 2 ** 30 - 1 }), { maxLength: 50 }), (times) => {
      const { buckets, sum } = kvmHistogram(times);
      assert.deepEqual(inKvmOrder(buckets.toReversed(), sum), buckets);
    }),
  );
});

test('the order never loses a count', () => {
  fc.assert(
    fc.property(counts, fc.option(fc.nat(), { nil: undefined }), (list, sum) => {
      assert.deepEqual(inKvmOrder(list, sum).sort(), [...list].sort());
    }),
  );
});

test('a log2 histogram becomes one with bounds in seconds, each count below its bound', () => {
  const { buckets } = kvmHistogram([0, 1, 1023, 1024, 4095, 4096, 1_048_575, 2 ** 30 - 1, 2 ** 31]);
  const histogram = fromLog2(buckets, 1.5);
  const below = (le: number): number | undefined => histogram.buckets.find((each) => each.le === le)?.count;
  assert.equal(below(1024e-9), 3);
  assert.equal(below(4096e-9), 5);
  assert.equal(below(1048576e-9), 7);
  assert.equal(below(2 ** 30 / 1e9), 8);
  assert.deepEqual([histogram.count, histogram.sum], [9, 1.5]);
});

test('bounds rise, counts never fall, and the last of them is not above the whole', () => {
  const check = ({ buckets, count }: ReturnType<typeof fromLog2>): void => {
    buckets.forEach((bucket, i) => {
      const before = buckets[i - 1];
      assert.ok(before === undefined || (before.le < bucket.le && before.count <= bucket.count));
      assert.ok(bucket.count <= count);
    });
  };
  fc.assert(
    fc.property(counts, (list) => {
      const histogram = fromLog2(list, undefined);
      check(histogram);
      assert.equal(
        histogram.count,
        list.reduce((a, b) => a + b, 0),
      );
    }),
  );
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat()),
      fc.array(fc.nat(), { minLength: 101, maxLength: 101 }),
      (bounds, bins) => {
        const histogram = fromBins(
          bounds.sort((a, b) => a - b),
          bins.slice(0, bounds.length + 1),
        );
        check(histogram);
        assert.equal(
          histogram.count,
          bins.slice(0, bounds.length + 1).reduce((a, b) => a + b, 0),
        );
      },
    ),
  );
});

test("QEMU's bins become cumulative, in seconds", () => {
  assert.deepEqual(fromBins([1000, 1_000_000], [1, 2, 3]), {
    buckets: [
      { le: 1e-6, count: 1 },
      { le: 1e-3, count: 3 },
    ],
    count: 6,
    sum: undefined,
  });
});

test('histograms of vCPUs with different numbers of buckets add up', () => {
  assert.deepEqual(addBuckets([1, 2], [10, 20, 30]), [11, 22, 30]);
  assert.deepEqual(addBuckets([], [1]), [1]);
  fc.assert(fc.property(counts, counts, (a, b) => assert.deepEqual(addBuckets(a, b), addBuckets(b, a))));
});

test('names are made unique, and none is empty', () => {
  const names = new UniqueNames();
  const given = ['vda', 'vda', 'vda~2', '', 'vda', ''].map((name) => names.of(name));
  assert.deepEqual(given, ['vda', 'vda~2', 'vda~2~2', '?', 'vda~3', '?~2']);
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'a~2', 'a~2~2', 'a~3', '', '?', '?~2')), (list) => {
      const unique = new UniqueNames();
      assert.equal(new Set(list.map((name) => unique.of(name))).size, list.length);
    }),
  );
});

test('the time for fifty thousand equal names is not quadratic', async () => {
  const names = new UniqueNames();
  const ms = await cpuMs(() => {
    for (let i = 0; i < 50_000; i++) names.of('x'.repeat(100));
  });
  assert.ok(ms < 5000, `${ms} ms; quadratic time would be minutes`);
});
