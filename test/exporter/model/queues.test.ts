import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NotifyWrite } from '../../../exporter/model/io-path.ts';
import { Queues } from '../../../exporter/model/queues.ts';

const mmio = (address: number): NotifyWrite => ({ event: 'kvm_mmio', address });
const pio = (address: number): NotifyWrite => ({ event: 'kvm_pio', address });
const indexes = (queues: Queues, ...writes: readonly NotifyWrite[]) =>
  writes.map((write) => queues.indexOf(write));

test('queues that appear together are numbered by address, later ones after them', () => {
  const queues = new Queues();
  queues.observe([mmio(0x3004), mmio(0x3000), mmio(0x3004)]);
  assert.deepEqual(indexes(queues, mmio(0x3000), mmio(0x3004)), ['0', '1']);
  queues.observe([mmio(0x1000), mmio(0x3000)]);
  queues.observe([]);
  assert.deepEqual(indexes(queues, mmio(0x3000), mmio(0x3004), mmio(0x1000)), ['0', '1', '2']);
});

test('a fast and a slow write to one address are one queue; a port is another one', () => {
  const queues = new Queues();
  queues.observe([mmio(0xc010), { event: 'kvm_fast_mmio', address: 0xc010 }, pio(0xc010)]);
  assert.equal(queues.indexOf({ event: 'kvm_fast_mmio', address: 0xc010 }), queues.indexOf(mmio(0xc010)));
  assert.notEqual(queues.indexOf(pio(0xc010)), queues.indexOf(mmio(0xc010)));
  assert.deepEqual(queues.known.map(({ address }) => address).sort(), ['0xc010', 'port 0xc010']);
});

test('the address is reported in full: beyond 32 bits as well', () => {
  const queues = new Queues();
  queues.observe([mmio(0x38_0000_3000), pio(0x1050)]);
  assert.deepEqual(
    queues.known.map(({ index, address }) => [index, address]),
    [
      ['0', 'port 0x1050'],
      ['1', '0x3800003000'],
    ],
  );
});

test('for a guest that writes to many addresses, the first 64 queues are distinguished', () => {
  const queues = new Queues();
  queues.observe([mmio(0x9000)]);
  queues.observe(Array.from({ length: 1000 }, (_, i) => mmio(i)));
  assert.equal(queues.known.length, 64);
  assert.deepEqual(indexes(queues, mmio(0x9000), mmio(0), mmio(62), mmio(63)), ['0', '1', '63', 'other']);
  queues.observe([mmio(0x8000)]);
  assert.equal(queues.indexOf(mmio(0x8000)), 'other');
});

test('an index belongs to one queue and never changes, for any order of kicks', () => {
  const write = fc
    .tuple(fc.boolean(), fc.nat({ max: 100 }))
    .map(([isPort, at]) => (isPort ? pio(at + 1) : mmio(at)));
  fc.assert(
    fc.property(fc.array(fc.array(write, { maxLength: 30 }), { maxLength: 8 }), (meetings) => {
      const queues = new Queues();
      const given = new Map<string, string>();
      for (const writes of meetings) {
        queues.observe(writes);
        for (const each of writes) {
          const [key, index] = [`${each.event} ${each.address}`, queues.indexOf(each)];
          assert.equal(given.get(key) ?? index, index);
          given.set(key, index);
        }
      }
      const numbered = [...given.values()].filter((index) => index !== 'other');
      assert.equal(new Set(numbered).size, numbered.length);
      assert.deepEqual(
        numbered.map(Number).sort((a, b) => a - b),
        numbered.map((_, i) => i),
      );
      assert.equal(numbered.length, Math.min(64, given.size));
    }),
  );
});
