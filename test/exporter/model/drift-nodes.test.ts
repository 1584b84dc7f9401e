import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObservedVm } from '../../../exporter/model/observed.ts';
import { drifts, thread, topologyOf, vmOf } from '../../../testing/observed-vms.ts';

/** CPUs 0-3 on node 0, 4-7 on node 1. */
const NUMA = topologyOf(2, 4, 1);
const ALL = [0, 1, 2, 3, 4, 5, 6, 7];
const ON_0 = new Map([
  [0, 900],
  [1, 100],
]);

function crossings(label: string, cpu: number, more: Partial<ObservedVm>) {
  return drifts(NUMA, vmOf([thread(label, [cpu], [cpu], { tid: 7 })], more)).map(
    ({ kind, why, fix }) => `${kind}: ${why}; ${fix}`,
  );
}

test("a vCPU away from its VM's memory crosses nodes", () => {
  assert.deepEqual(crossings('vcpu0', 4, { memory: ON_0 }), [
    "cross_node: on node 1 (CPUs 4), but its VM's memory is on node 0; taskset -pc 0 7",
  ]);
  assert.deepEqual(crossings('vcpu0', 3, { memory: ON_0 }), []);
});

test('spread memory has no wrong node, and neither has a VM without memory', () => {
  const memory = (...sizes: number[]) => new Map(sizes.map((bytes, node) => [node, bytes]));
  for (const sizes of [[500, 500], [600, 400], [0, 0], []]) {
    assert.deepEqual(crossings('vcpu0', 4, { memory: memory(...sizes) }), [], String(sizes));
  }
  assert.equal(crossings('vcpu0', 4, { memory: memory(700, 300) }).length, 1);
});

test('an I/O thread is compared with memory, device and interrupts separately', () => {
  for (const more of [{ memory: ON_0 }, { deviceNodes: [0] }, { interruptCpus: [1, 2] }]) {
    assert.equal(crossings('iothread:a', 5, more).length, 1, JSON.stringify(more));
    assert.equal(crossings('iothread:a', 1, more).length, 0, JSON.stringify(more));
  }
  assert.deepEqual(crossings('vhost0', 5, { memory: ON_0, deviceNodes: [0], interruptCpus: [1] }), [
    "cross_node: on node 1 (CPUs 5), but its VM's memory is on node 0, the device is on node 0, its interrupts go to node 0; taskset -pc 0 7",
  ]);
});

test('one device or interrupt on its node is enough', () => {
  assert.deepEqual(crossings('iothread:a', 5, { deviceNodes: [0, 1], interruptCpus: [0, 4] }), []);
});

test('devices and interrupts do not matter for a vCPU, and no node matters for the emulator', () => {
  assert.deepEqual(crossings('vcpu0', 5, { deviceNodes: [0], interruptCpus: [0] }), []);
  assert.deepEqual(crossings('emulator', 5, { memory: ON_0 }), []);
});

test('if a thread is near the device, the memory moves, or the thread moves to a CPU there that takes its interrupts', () => {
  assert.match(
    crossings('iothread:a', 4, { deviceNodes: [1], memory: ON_0 })[0] ?? '',
    /; migratepages 99 0 1$/,
  );
  assert.match(
    crossings('iothread:a', 4, {
      deviceNodes: [1],
      interruptCpus: [0],
      takersOf: (cpu: number) => (cpu === 4 ? [0] : [cpu]),
    })[0] ?? '',
    /; taskset -pc 5 7$/,
  );
});

test('several nodes are all named, and memory moves from each of them', () => {
  const three = topologyOf(3, 4, 1);
  const half = new Map([
    [0, 500],
    [1, 500],
  ]);
  const found = (more: Partial<ObservedVm>) =>
    drifts(three, vmOf([thread('iothread:a', [8], [8], { tid: 7 })], more)).map(({ why, fix }) => [why, fix]);
  assert.deepEqual(found({ deviceNodes: [0, 1] }), [
    ['on node 2 (CPUs 8), but the device is on nodes 0,1', 'taskset -pc 0 7'],
  ]);
  assert.deepEqual(found({ deviceNodes: [2], memory: half }), [
    ["on node 2 (CPUs 8), but its VM's memory is on nodes 0,1", 'migratepages 99 0,1 2'],
  ]);
});

test('a thread that left its expected node moves back', () => {
  const vm = vmOf([thread('iothread:a', [5], [2], { tid: 7 })], { deviceNodes: [0] });
  assert.deepEqual(
    drifts(NUMA, vm).map(({ kind, fix }) => [kind, fix]),
    [
      ['mask_changed', 'taskset -pc 2 7'],
      ['cross_node', 'taskset -pc 2 7'],
    ],
  );
});

test('the observed node precedes the allowed nodes', () => {
  const seen = (seenOn: number[]) => {
    const vcpu = thread('vcpu0', [3, 4], [3, 4], { seenOn });
    return drifts(NUMA, vmOf([vcpu], { memory: ON_0 })).length;
  };
  assert.deepEqual([seen([4]), seen([3]), seen([3, 4]), seen([])], [1, 0, 0, 0]);
});

test('a thread that is allowed and expected to run anywhere crosses no nodes', () => {
  const vm = vmOf([thread('vcpu0', ALL, ALL, { seenOn: [4] })], { memory: ON_0 });
  assert.deepEqual(drifts(NUMA, vm), []);
});

test('no thread moves to a full node, so the memory moves, and a host with one node has no drift', () => {
  const others = vmOf(
    [0, 1, 2, 3].map((cpu) => thread(`vcpu${cpu}`, [cpu], [cpu])),
    { vm: 'x' },
  );
  const vm = vmOf([thread('vcpu0', [4], [4], { tid: 7 })], { memory: ON_0 });
  assert.equal(drifts(NUMA, vm, others)[0]?.fix, 'migratepages 99 0 1');
  assert.deepEqual(drifts(topologyOf(1, 8, 1), { ...vm, memory: new Map([[1, 5]]) }), []);
});
