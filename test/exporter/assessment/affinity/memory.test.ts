import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Memory } from '../../../../exporter/assessment/affinity/memory.ts';
import type { Host } from '../../../../probes/host.ts';
import { vmOf } from '../../../../testing/affinity-host.ts';
import { hostTree } from '../../../../testing/host-tree.ts';

const MINUTE = 60_000;
const A = vmOf({ pid: 10 });
const B = vmOf({ pid: 20 });

function setUp(context: TestContext) {
  const tree = hostTree(context);
  const pages = (pid: number, text: string): void =>
    tree.write(`proc/${pid}/numa_maps`, `7f00 default ${text} kernelpagesize_kB=4\n`);
  pages(10, 'N0=1');
  pages(20, 'N1=1');
  const state = { at: 0, reads: [] as string[], hold: Promise.resolve() };
  const host: Host = {
    ...tree.host,
    async slowText(path, cap, timeoutMs) {
      state.reads.push(path.split('/').at(-2) ?? '');
      await state.hold;
      return tree.host.slowText(path, cap, timeoutMs);
    },
  };
  return { tree, pages, state, memory: new Memory(host, () => state.at) };
}

test('each VM is read when its turn comes, one at a time, and again after ten minutes', async (context) => {
  const { memory, state, pages } = setUp(context);
  assert.equal(memory.of(A), undefined);
  for (let i = 0; i < 4; i++) await memory.readNext([A, B]);
  assert.deepEqual(state.reads, ['10', '20']);
  assert.deepEqual([...(memory.of(A) ?? [])], [[0, 4096]]);
  assert.deepEqual([...(memory.of(B) ?? [])], [[1, 4096]]);
  pages(10, 'N0=2');
  state.at = 10 * MINUTE - 1;
  await memory.readNext([A, B]);
  assert.equal(state.reads.length, 2);
  state.at = 10 * MINUTE;
  await memory.readNext([A, B]);
  assert.deepEqual([...(memory.of(A) ?? [])], [[0, 8192]]);
});

test("memory on other nodes than the VM's pins is read again after a minute, because it may have moved", async (context) => {
  const { memory, state } = setUp(context);
  const isApart = (vm: { readonly key: string }): boolean => vm.key === B.key;
  for (let i = 0; i < 2; i++) await memory.readNext([A, B], isApart);
  state.at = MINUTE - 1;
  await memory.readNext([A, B], isApart);
  assert.deepEqual(state.reads, ['10', '20']);
  state.at = MINUTE;
  for (let i = 0; i < 2; i++) await memory.readNext([A, B], isApart);
  assert.deepEqual(state.reads, ['10', '20', '20']);
  state.at = 2 * MINUTE;
  await memory.readNext([A, B]);
  assert.equal(state.reads.length, 3, 'it is near now');
});

test('only one read runs at a time', async (context) => {
  const { memory, state } = setUp(context);
  let release = (): void => undefined;
  state.hold = new Promise((resolve) => {
    release = resolve;
  });
  const first = memory.readNext([A, B]);
  await memory.readNext([A, B]);
  assert.deepEqual(state.reads, ['10']);
  release();
  await first;
  await memory.readNext([A, B]);
  assert.deepEqual(state.reads, ['10', '20']);
});

test('a failure is a problem until a read succeeds, and the last result stays', async (context) => {
  const { memory, state, tree, pages } = setUp(context);
  await memory.readNext([A]);
  tree.write('proc/10/numa_maps', 'N0=1 nonsense');
  state.at = 10 * MINUTE;
  await memory.readNext([A]);
  assert.equal(memory.problem?.kind, 'malformed');
  assert.deepEqual([...(memory.of(A) ?? [])], [[0, 4096]]);
  pages(10, 'N0=3');
  await memory.readNext([A]);
  assert.equal(state.reads.length, 2, 'a failure is not tried again at once');
  state.at = 20 * MINUTE;
  await memory.readNext([A]);
  assert.equal(memory.problem, undefined);
});

test("another VM does not clear a VM's failure, and the failure ends with the VM", async (context) => {
  const { memory, tree } = setUp(context);
  tree.write('proc/10/numa_maps', 'N0=1 nonsense');
  for (let i = 0; i < 2; i++) await memory.readNext([A, B]);
  assert.deepEqual([...(memory.of(B) ?? [])], [[1, 4096]]);
  assert.equal(memory.problem?.kind, 'malformed');
  await memory.readNext([B]);
  assert.equal(memory.problem, undefined);
});

test('the missing file of a kernel without NUMA is no problem', async (context) => {
  const { memory, tree } = setUp(context);
  tree.remove('proc/10/numa_maps');
  await memory.readNext([A]);
  assert.deepEqual([memory.problem, memory.of(A)], [undefined, undefined]);
});

test('a VM that ended is forgotten', async (context) => {
  const { memory } = setUp(context);
  await memory.readNext([A]);
  await memory.readNext([]);
  assert.equal(memory.of(A), undefined);
});

test('a VM that replaces another one is read at once, and the other one is forgotten', async (context) => {
  const { memory, state } = setUp(context);
  await memory.readNext([A]);
  await memory.readNext([B]);
  assert.deepEqual(state.reads, ['10', '20']);
  await memory.readNext([B]);
  assert.equal(memory.of(A), undefined);
});
