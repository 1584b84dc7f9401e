import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ContinuedCounter } from '../../../exporter/model/continued-counter.ts';
import { VcpuCounters } from '../../../exporter/model/vcpu-counters.ts';
import { vcpuTable } from '../../../exporter/model/vcpu-table.ts';

type Reading = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** The sums after the last of the readings: by vCPU, then by statistic. */
function sumsAfter(readings: readonly Reading[]): Record<string, number> {
  const sums = new VcpuCounters();
  let found: Record<string, number> = {};
  for (const reading of readings) {
    const vcpus = Object.entries(reading).map(([vcpu, statistics]): [number, Map<string, number>] => [
      Number(vcpu),
      new Map(Object.entries(statistics)),
    ]);
    const table = vcpuTable(vcpus);
    const now = sums.take('bpf', table).sums;
    found = Object.fromEntries(table.names.map((name, i) => [name, now[i] ?? Number.NaN]));
  }
  return found;
}

test('a vCPU that is unplugged stays in the sum, and one that returns continues', () => {
  assert.deepEqual(sumsAfter([{ 0: { exits: 10 }, 1: { exits: 20 } }]), { exits: 30 });
  assert.deepEqual(sumsAfter([{ 0: { exits: 10 }, 1: { exits: 20 } }, { 0: { exits: 11 } }]), { exits: 31 });
  const back = [
    { 0: { exits: 10 }, 1: { exits: 20 } },
    { 0: { exits: 11 } },
    { 0: { exits: 11 }, 1: { exits: 21 } },
  ];
  assert.deepEqual(sumsAfter(back), { exits: 32 });
});

test('a statistic that is missing in one reading continues, in whatever order the columns are', () => {
  const readings = [{ 0: { exits: 10, halts: 5 } }, { 0: { halts: 6 } }, { 0: { halts: 7, exits: 12 } }];
  assert.deepEqual(sumsAfter(readings), { halts: 7, exits: 12 });
});

test('a restart of a vCPU is not credited, and a stale reading is ignored', () => {
  assert.deepEqual(sumsAfter([{ 0: { exits: 100 } }, { 0: { exits: 3 } }, { 0: { exits: 5 } }]), {
    exits: 102,
  });
  assert.deepEqual(sumsAfter([{ 0: { exits: 100 } }, { 0: { exits: 99 } }, { 0: { exits: 101 } }]), {
    exits: 101,
  });
});

test('a VMM with new names and vCPUs in each reading does not fill the memory: those above the limit have no sum', () => {
  const sums = new VcpuCounters();
  const reading = (vcpu: number, name: string): number | undefined =>
    sums.take('bpf', vcpuTable([[vcpu, new Map([[name, 5]])]])).sums[0];
  for (let i = 0; i < 512; i++) assert.equal(reading(0, `a${i}`), 5);
  assert.deepEqual([reading(0, 'one too many'), reading(0, 'a0')], [Number.NaN, 5]);
  for (let vcpu = 1; vcpu < 4096; vcpu++) reading(vcpu, 'a0');
  assert.equal(reading(0, 'a0'), 5 * 4096);
  assert.equal(reading(4096, 'a0'), 5 * 4096);
});

test('the sums are those of a counter with the vCPUs as its parts, and never fall', () => {
  const statistics = fc.dictionary(fc.constantFrom('exits', 'halts'), fc.nat(1000));
  const reading = fc.dictionary(fc.constantFrom('0', '1', '2'), statistics);
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const before = new Map<string, number>();
      readings.forEach((_, end) => {
        for (const [name, sum] of Object.entries(sumsAfter(readings.slice(0, end + 1)))) {
          const counter = new ContinuedCounter();
          let expected = 0;
          for (const each of readings.slice(0, end + 1)) {
            const parts = Object.entries(each).flatMap(([vcpu, { [name]: value }]): [string, number][] =>
              value === undefined ? [] : [[vcpu, value]],
            );
            expected = counter.take('bpf', parts);
          }
          assert.equal(sum, expected);
          assert.ok(sum >= (before.get(name) ?? 0));
          before.set(name, sum);
        }
      });
    }),
    { numRuns: 50 },
  );
});
