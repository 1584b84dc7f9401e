import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jainIndex, type Kicks, localityOf, queueFairness } from '../../../exporter/model/locality.ts';

function kicks(...rows: [queue: string, vcpu: string, count: number][]): Kicks[] {
  return rows.map(([queue, vcpu, count]) => ({ queue, vcpu, count }));
}

test('a queue per vCPU is wholly local, round robin is not', () => {
  const pinned = localityOf(kicks(['0', 'vcpu0', 100], ['1', 'vcpu1', 50]));
  assert.equal(pinned.share, 1);
  assert.deepEqual(pinned.queues.get('1'), { vcpu: 'vcpu1', share: 1, kicks: 50 });
  const turns = ['0', '1'].flatMap((queue) =>
    ['vcpu0', 'vcpu1', 'vcpu2', 'vcpu3'].map((vcpu): [string, string, number] => [queue, vcpu, 25]),
  );
  assert.equal(localityOf(kicks(...turns)).share, 0.25);
});

test('a busy queue weighs more than an idle one', () => {
  const { share, queues } = localityOf(kicks(['0', 'a', 90], ['0', 'b', 10], ['1', 'a', 5], ['1', 'b', 5]));
  assert.equal(share, 95 / 110);
  assert.deepEqual(queues.get('0'), { vcpu: 'a', share: 0.9, kicks: 100 });
  assert.equal(queues.get('1')?.share, 0.5);
});

test('counts of one queue and vCPU add up', () => {
  assert.equal(localityOf(kicks(['0', 'a', 1], ['0', 'b', 2], ['0', 'a', 2])).queues.get('0')?.vcpu, 'a');
});

test('if vCPUs kick equally often, the first one is named', () => {
  assert.equal(localityOf(kicks(['0', 'b', 2], ['0', 'a', 2])).queues.get('0')?.vcpu, 'b');
});

test('without kicks there is no locality', () => {
  assert.deepEqual(localityOf([]), { share: undefined, queues: new Map() });
  assert.deepEqual(localityOf(kicks(['0', 'a', 0])), { share: undefined, queues: new Map() });
  assert.equal(localityOf(kicks(['0', 'a', 0], ['1', 'a', 3])).queues.size, 1);
});

const anyKicks = fc.array(
  fc.record({
    queue: fc.constantFrom('0', '1', '2'),
    vcpu: fc.constantFrom('vcpu0', 'vcpu1', 'vcpu2', 'vcpu3'),
    count: fc.nat(1000),
  }),
);

test('a share is between an even split and one, and the whole lies between the queues', () => {
  fc.assert(
    fc.property(anyKicks, (list) => {
      const { share, queues } = localityOf(list);
      const shares = [...queues.values()].map((queue) => queue.share);
      for (const each of shares) assert.ok(each >= 0.25 && each <= 1, `${each}`);
      if (share === undefined) assert.equal(shares.length, 0);
      else assert.ok(share >= Math.min(...shares) - 1e-9 && share <= Math.max(...shares) + 1e-9);
      const sum = list.reduce((total, { count }) => total + count, 0);
      assert.equal(
        [...queues.values()].reduce((total, queue) => total + queue.kicks, 0),
        sum,
      );
    }),
  );
});

test("Jain's index is 1 for equal counts, and 1/n if one queue has all", () => {
  assert.equal(jainIndex([5, 5, 5]), 1);
  assert.equal(jainIndex([7]), 1);
  assert.equal(jainIndex([0, 9, 0, 0]), 0.25);
  assert.equal(jainIndex([1, 2, 3]), 36 / 42);
  assert.equal(jainIndex([]), undefined);
  assert.equal(jainIndex([0, 0]), undefined);
});

test("Jain's index is within 1/n and 1, and the same for any unit and order", () => {
  const counts = fc
    .array(fc.nat(1e9), { minLength: 1, maxLength: 20 })
    .filter((list) => list.some((n) => n > 0));
  fc.assert(
    fc.property(counts, fc.constantFrom(1e-9, 1000, 1e290), (list, unit) => {
      const index = jainIndex(list) ?? Number.NaN;
      assert.ok(index >= 1 / list.length - 1e-9 && index <= 1 + 1e-9, `${index}`);
      const other = jainIndex(list.map((count) => count * unit).reverse()) ?? Number.NaN;
      assert.ok(Math.abs(other - index) < 1e-9);
    }),
  );
});

test('queues that were never used count against fairness, and without their number there is none', () => {
  assert.equal(queueFairness([600], 6), 1 / 6);
  assert.equal(queueFairness([5, 5], 2), 1);
  assert.equal(queueFairness([5], undefined), undefined);
  assert.equal(queueFairness([5, 5, 5], 2), undefined);
  assert.equal(queueFairness([], 4), undefined);
});
