import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drifts, kinds, thread, topologyOf, vmOf, without } from '../../../testing/observed-vms.ts';

/** One node with four cores of two threads each: 0-1, 2-3, 4-5, 6-7. */
const SMT = topologyOf(1, 4, 2);
const ALL = [0, 1, 2, 3, 4, 5, 6, 7];

/** A thread with its expected affinity. */
function pinned(label: string, ...cpus: number[]) {
  return thread(label, cpus, cpus);
}

test('a vCPU and an I/O thread on one CPU share it, whatever the I/O thread', () => {
  for (const io of ['iothread:io0', 'vhost0', 'sqpoll0']) {
    assert.deepEqual(kinds(SMT, vmOf([pinned('vcpu0', 2), pinned(io, 2)])), [
      'vcpu0 shared_cpu',
      `${io} shared_cpu`,
    ]);
  }
  const [drift] = drifts(SMT, vmOf([pinned('vcpu0', 2), pinned('vhost0', 2)]));
  assert.equal(drift?.why, 'shares CPU 2 with vhost0');
});

test('two vCPUs on one CPU share it, in one VM or in two', () => {
  assert.deepEqual(kinds(SMT, vmOf([pinned('vcpu0', 2), pinned('vcpu1', 2)])), [
    'vcpu0 shared_cpu',
    'vcpu1 shared_cpu',
  ]);
  const found = drifts(SMT, vmOf([pinned('vcpu0', 2)], { vm: 'a' }), vmOf([pinned('vcpu0', 2)], { vm: 'b' }));
  assert.deepEqual(
    found.map(({ vm, kind, why }) => `${vm} ${kind} ${why}`),
    ['a shared_cpu shares CPU 2 with vcpu0 of b', 'b shared_cpu shares CPU 2 with vcpu0 of a'],
  );
});

test('I/O threads may share a CPU, and the emulator any', () => {
  assert.deepEqual(kinds(SMT, vmOf([pinned('iothread:a', 2), pinned('vhost0', 2)])), []);
  assert.deepEqual(kinds(SMT, vmOf([pinned('vcpu0', 2), pinned('emulator', 2), pinned('worker', 2)])), []);
});

test('a thread without an expectation is named as the partner, but has not drifted', () => {
  assert.deepEqual(kinds(SMT, vmOf([pinned('vcpu0', 2), thread('iothread:a', [2])])), ['vcpu0 shared_cpu']);
});

test('a thread that may use several CPUs shares none, although an idle one stays on one CPU', () => {
  const wide = (expected: number[], seenOn: number[]) => {
    const vcpu = thread('vcpu0', expected, expected, { seenOn });
    return kinds(SMT, vmOf([vcpu, pinned('iothread:a', 4)])).includes('vcpu0 shared_cpu');
  };
  assert.equal(wide([2, 4], [4]), false);
  assert.equal(wide([4], [4]), true);
  assert.equal(wide([2, 4], [2]), false);
  assert.equal(wide([2, 4], [2, 4]), false);
  assert.equal(wide([2, 4], []), false);
  assert.equal(wide(ALL, [4]), false);
});

test('threads that were never pinned share a CPU after both are pinned to it', () => {
  const vm = vmOf([thread('vcpu0', [2], ALL), thread('iothread:a', [2], ALL, { tid: 7 })]);
  assert.deepEqual(
    drifts(SMT, vm).map(({ kind, fix }) => [kind, fix]),
    [
      ['shared_cpu', 'taskset -pc 0 7'],
      ['shared_cpu', 'taskset -pc 0 7'],
    ],
  );
});

test('siblings share a core: a vCPU with an I/O thread, or with the vCPU of another VM', () => {
  assert.deepEqual(kinds(SMT, vmOf([pinned('vcpu0', 2), pinned('iothread:a', 3)])), [
    'vcpu0 shared_core',
    'iothread:a shared_core',
  ]);
  const found = drifts(SMT, vmOf([pinned('vcpu0', 2)], { vm: 'a' }), vmOf([pinned('vcpu0', 3)], { vm: 'b' }));
  assert.deepEqual(
    found.map(({ kind, why }) => `${kind} ${why}`),
    [
      'shared_core shares the core of CPUs 2-3 with vcpu0 of b',
      'shared_core shares the core of CPUs 2-3 with vcpu0 of a',
    ],
  );
});

test('vCPUs of one VM on siblings are no drift, as for a guest with SMT', () => {
  assert.deepEqual(kinds(SMT, vmOf([pinned('vcpu0', 2), pinned('vcpu1', 3)])), []);
});

test('neighbours that are not siblings share nothing', () => {
  assert.deepEqual(kinds(SMT, vmOf([pinned('vcpu0', 1), pinned('iothread:a', 2)])), []);
});

test('on a host with one CPU sharing is no drift', () => {
  const one = topologyOf(1, 1, 1);
  assert.deepEqual(kinds(one, vmOf([pinned('vcpu0', 0), pinned('iothread:a', 0)])), []);
});

test('the advice restores the mask of each thread that left it', () => {
  const vm = vmOf([pinned('vcpu0', 2), thread('iothread:a', [2], [4], { tid: 7 })]);
  assert.deepEqual(
    drifts(SMT, vm).map(({ thread: label, kind, fix }) => `${label} ${kind} ${fix}`),
    [
      'vcpu0 shared_cpu taskset -pc 4 7',
      'iothread:a mask_changed taskset -pc 4 7',
      'iothread:a shared_cpu taskset -pc 4 7',
    ],
  );
});

test('a vCPU that moved to the CPU of its I/O thread moves back, if it can', () => {
  const vm = vmOf([thread('vcpu0', [4], [2], { tid: 6 }), thread('iothread:a', [4], [4], { tid: 7 })]);
  const fixes = (topology: typeof SMT) =>
    drifts(topology, vm)
      .filter(({ kind }) => kind === 'shared_cpu')
      .map(({ fix }) => fix);
  assert.deepEqual(fixes(SMT), ['taskset -pc 2 6', 'taskset -pc 2 6']);
  assert.deepEqual(fixes(without(SMT, [2])), ['taskset -pc 0 6', 'taskset -pc 0 6']);
});

test('if both have their expected affinity, the I/O thread moves to a free core', () => {
  const threads = [thread('vcpu0', [2], [2], { tid: 6 }), thread('iothread:a', [2], [2], { tid: 7 })];
  const fixes = (...others: number[]) =>
    drifts(
      SMT,
      vmOf(threads),
      vmOf(
        others.map((cpu, i) => pinned(`vcpu${i}`, cpu)),
        { vm: 'x' },
      ),
    )
      .filter(({ vm }) => vm === 'web')
      .map(({ fix }) => fix);
  assert.deepEqual(fixes(), ['taskset -pc 0 7', 'taskset -pc 0 7']);
  assert.deepEqual(fixes(1), ['taskset -pc 4 7', 'taskset -pc 4 7']);
  assert.deepEqual(fixes(1, 4, 6), [undefined, undefined]);
});
