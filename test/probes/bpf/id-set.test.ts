import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdSet } from '../../../probes/bpf/id-set.ts';
import type { Libbpf } from '../../../probes/bpf/libbpf.ts';

/** A map of the kernel with room for some keys. */
function fakeMap(room: number) {
  const keys = new Map<number, number>();
  const calls: string[] = [];
  const libbpf = {
    updateElement(_map: number, key: Buffer, value: Buffer) {
      calls.push(`+${key.readUInt32LE()}`);
      if (keys.size >= room) return -1;
      keys.set(key.readUInt32LE(), value.readUInt32LE());
      return 0;
    },
    deleteElement(_map: number, key: Buffer) {
      calls.push(`-${key.readUInt32LE()}`);
      keys.delete(key.readUInt32LE());
      return 0;
    },
    errno: () => 'E2BIG',
  } as unknown as Libbpf;
  return { keys, calls, set: new IdSet(libbpf, 3, 'BPF iterator threads') };
}

test('only what differs is changed', () => {
  const { keys, calls, set } = fakeMap(10);
  set.replace(new Set([1, 2]), 4);
  set.replace(new Set([2, 3]), 4);
  set.replace(new Set([2, 3]), 4);
  assert.deepEqual(calls, ['+1', '+2', '-1', '+3']);
  assert.deepEqual(
    [...keys],
    [
      [2, 4],
      [3, 4],
    ],
  );
});

test('a map without room is an error, and fewer ids fit again', () => {
  const { keys, set } = fakeMap(2);
  assert.throws(() => set.replace(new Set([1, 2, 3]), 1), { kind: 'failed', reason: 'E2BIG' });
  set.replace(new Set([2, 4]), 1);
  assert.deepEqual([...keys.keys()], [2, 4]);
});
