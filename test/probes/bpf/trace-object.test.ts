import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CountMap } from '../../../probes/bpf/count-map.ts';
import { Gates, LONGEST_PERIOD } from '../../../probes/bpf/gates.ts';
import type { Libbpf } from '../../../probes/bpf/libbpf.ts';
import { TraceObject } from '../../../probes/bpf/trace-object.ts';
import { fakeLibbpf } from '../../../testing/libbpf.ts';

test('a program is attached once, and closing frees links and object', () => {
  let calls = 0;
  const libbpf = fakeLibbpf({ attach: () => `link ${++calls}` });
  const object = TraceObject.load(libbpf, 'trace-exits');
  object.attach('exits');
  object.attach('exits');
  assert.equal(object.map('exit_counts'), object.map('exit_counts'));
  object.close();
  assert.deepEqual([calls, libbpf.closed], [1, ['link 1', 'object']]);
});

test('programs that were detached are attached again', () => {
  let calls = 0;
  const libbpf = fakeLibbpf({ attach: () => `link ${++calls}` });
  const object = TraceObject.load(libbpf, 'trace-exits');
  object.attach('exits');
  object.detach();
  assert.deepEqual(libbpf.closed, ['link 1']);
  object.attach('exits');
  object.close();
  assert.deepEqual(libbpf.closed, ['link 1', 'link 2', 'object']);
});

test('a missing tracepoint differs from another failure', () => {
  const errno = { name: 'ENOENT' };
  const object = TraceObject.load(fakeLibbpf({ attach: () => null, errno: () => errno.name }), 'trace-exits');
  assert.throws(() => object.attach('exits'), { kind: 'absent', code: 'not_in_this_kernel' });
  errno.name = 'EPERM';
  assert.throws(() => object.attach('exits'), { kind: 'denied', path: 'BPF object trace-exits exits' });
});

test('an object without its maps, or on a machine without CPUs, is freed', () => {
  for (const part of [{ findMap: () => null }, { possibleCpus: () => -1 }]) {
    const libbpf = fakeLibbpf(part);
    assert.throws(() => TraceObject.load(libbpf, 'trace-block'), { kind: 'denied' });
    assert.deepEqual(libbpf.closed, ['object']);
  }
});

/** A hash map in the kernel with keys and values of 8 bytes, which gives at most `most` elements at a time. */
function kernelMap(elements: number, most: number): Partial<Libbpf> & { readonly taken: boolean[] } {
  let errno = 'ENOENT';
  const taken: boolean[] = [];
  return {
    taken,
    maxEntries: () => elements,
    errno: () => errno,
    lookUpBatch(_map, from, to, { keys, values, count }, takes) {
      taken.push(takes);
      const first = from === null ? 0 : from.readUInt32LE();
      const room = Math.min(count.readUInt32LE(), most);
      const end = Math.min(elements, first + room);
      for (let i = first; i < end; i++) {
        keys.writeUInt32LE(i, 8 * (i - first));
        values.writeUInt32LE(i * 3, 8 * (i - first));
      }
      to.writeUInt32LE(end);
      count.writeUInt32LE(end - first);
      errno = 'ENOENT';
      return end === elements ? -1 : 0;
    },
  };
}

test('a map is read to its end, however many calls that takes', () => {
  for (const [elements, most] of [
    [0, 10],
    [1, 10],
    [5000, 700],
    [5000, 100_000],
  ] as const) {
    const kernel = kernelMap(elements, most);
    const map = new CountMap(fakeLibbpf(kernel), 'map', 'a map');
    const { rows, keys, values } = map.read();
    assert.equal(rows, elements);
    for (let i = 0; i < rows; i++)
      assert.deepEqual([keys.readUInt32LE(8 * i), values.readUInt32LE(8 * i)], [i, i * 3]);
    assert.ok(kernel.taken.every((each) => !each));
    map.take();
    assert.ok(kernel.taken.at(-1));
  }
});

test('a map that cannot be read, or never ends, is an error', () => {
  const denied = new CountMap(fakeLibbpf({ lookUpBatch: () => -1, errno: () => 'EPERM' }), 'map', 'a map');
  assert.throws(() => denied.read(), { kind: 'denied', path: 'a map' });
  const endless = fakeLibbpf({ lookUpBatch: (_map, _from, _to, { count }) => count.readUInt32LE() * 0 });
  const map = new CountMap(endless, 'map', 'a map');
  assert.throws(() => map.read(), { kind: 'too_large' });
});

test('gates have a value for each CPU, and what is written stays in its limits', () => {
  const written: number[][] = [];
  const libbpf = fakeLibbpf({
    valueSize: () => 40,
    lookUpElement(_map, key, value) {
      value.writeBigUInt64LE(7n + BigInt(key.readUInt32LE()), 16);
      value.writeBigUInt64LE(2n ** 33n, 40 + 24);
      value.writeBigUInt64LE(1n, 40 + 32);
      return 0;
    },
    updateElement(_map, _key, value) {
      written.push([0, 4, 8, 12, 16, 20].map((at) => value.readUInt32LE(at)));
      return 0;
    },
  });
  const gates = new Gates(libbpf, 'gates', '.bss', 'object');
  assert.deepEqual(gates.read(1), [
    { events: 8, passed: 0, dropped: 0 },
    { events: 0, passed: 2 ** 33, dropped: 1 },
  ]);
  gates.set({ periods: [0, 16, 1e9], share: 4, window: 9 });
  assert.deepEqual(written, [[1, 16, LONGEST_PERIOD, 1, 4, 9]]);
  const failing = fakeLibbpf({ lookUpElement: () => -1, updateElement: () => -1 });
  const broken = new Gates(failing, 'gates', '.bss', 'object');
  assert.throws(() => broken.read(0), { kind: 'denied' });
  assert.throws(() => broken.set({ periods: [], share: 1, window: 0 }), { kind: 'denied' });
});
