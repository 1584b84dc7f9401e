import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ContinuedCounter } from '../../../exporter/model/continued-counter.ts';
import { VcpuCounters } from '../../../exporter/model/vcpu-counters.ts';
import { vcpuTable } from '../../../exporter/model/vcpu-table.ts';

interface Reading {
  readonly source: string;
  readonly vcpus: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The counters by vCPU and statistic. */
function take(counters: VcpuCounters, { source, vcpus }: Reading): Record<string, number> {
  const table = vcpuTable(
    Object.entries(vcpus).map(([vcpu, statistics]) => [Number(vcpu), new Map(Object.entries(statistics))]),
  );
  const { values: shown } = counters.take(source, table);
  return Object.fromEntries(
    table.indexes.flatMap((vcpu, row) =>
      table.names.flatMap((name, column): [string, number][] => {
        const value = shown[row * table.names.length + column] ?? Number.NaN;
        return Number.isNaN(value) ? [] : [[`${vcpu} ${name}`, value]];
      }),
    ),
  );
}

test('another source continues from the last value of each vCPU', () => {
  const counters = new VcpuCounters();
  take(counters, { source: 'qmp', vcpus: { 0: { exits: 10 }, 1: { exits: 20 } } });
  const other = take(counters, { source: 'bpf', vcpus: { 0: { exits: 15 }, 1: { exits: 16 } } });
  assert.deepEqual(other, { '0 exits': 10, '1 exits': 20 });
  const later = take(counters, { source: 'bpf', vcpus: { 0: { exits: 17 }, 1: { exits: 16 } } });
  assert.deepEqual(later, { '0 exits': 12, '1 exits': 20 });
});

test('each counter is that of a ContinuedCounter, and never falls', () => {
  const statistics = fc.dictionary(fc.constantFrom('exits', 'halts', 'polls'), fc.nat(1000));
  const vcpus = fc.dictionary(fc.constantFrom('0', '1', '7'), statistics);
  const reading = fc.record({ source: fc.constantFrom('bpf', 'qmp', 'libvirt'), vcpus });
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const counters = new VcpuCounters();
      const expected = new Map<string, ContinuedCounter>();
      const before = new Map<string, number>();
      for (const each of readings) {
        const shown = take(counters, each);
        for (const [vcpu, statistics] of Object.entries(each.vcpus)) {
          for (const [name, value] of Object.entries(statistics)) {
            const key = `${vcpu} ${name}`;
            const counter = expected.get(key) ?? new ContinuedCounter();
            expected.set(key, counter);
            assert.equal(shown[key], counter.one(each.source, value));
            assert.ok((shown[key] ?? 0) >= (before.get(key) ?? 0));
            before.set(key, shown[key] ?? 0);
          }
        }
      }
    }),
  );
});

test('a VMM with new names and vCPUs in each reading does not fill the memory: those above the limit have no counter', () => {
  const counters = new VcpuCounters();
  const one = (vcpu: number, name: string): Record<string, number> =>
    take(counters, { source: 'qmp', vcpus: { [vcpu]: { [name]: 5 } } });
  for (let i = 0; i < 512; i++) assert.deepEqual(one(0, `a${i}`), { [`0 a${i}`]: 5 });
  assert.deepEqual([one(0, 'one too many'), one(0, 'a0')], [{}, { '0 a0': 5 }]);
  for (let vcpu = 1; vcpu < 4096; vcpu++) one(vcpu, 'a0');
  assert.deepEqual([one(4095, 'a0'), one(4096, 'a0')], [{ '4095 a0': 5 }, {}]);
});
