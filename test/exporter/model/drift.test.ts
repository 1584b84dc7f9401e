import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drifts, kinds, thread, topologyOf, vmOf, without } from '../../../testing/observed-vms.ts';

/** Two nodes with four cores of one thread each. */
const FLAT = topologyOf(2, 4, 1);
const ALL = [0, 1, 2, 3, 4, 5, 6, 7];

function only(allowed: readonly number[], expected: readonly number[], more = {}) {
  return drifts(FLAT, vmOf([thread('vcpu0', allowed, expected, more)]));
}

test('a thread with the expected mask has not drifted, nor has one without an expectation', () => {
  assert.deepEqual(only([2], [2]), []);
  assert.deepEqual(only(ALL, ALL), []);
  assert.deepEqual(kinds(FLAT, vmOf([thread('vcpu0', [2], undefined), thread('vcpu1', [2], undefined)])), []);
});

test('a mask with more CPUs is widened', () => {
  const [drift, ...others] = only([2, 3], [2]);
  assert.equal(others.length, 0);
  assert.equal(drift?.kind, 'mask_widened');
  assert.equal(drift?.why, 'on CPUs 2-3 instead of 2 (baseline)');
  assert.match(drift?.fix ?? '', /^taskset -pc 2 \d+$/);
});

test('a mask of all CPUs that are online is unpinned, and not widened as well', () => {
  assert.deepEqual(
    only(ALL, [2]).map(({ kind }) => kind),
    ['unpinned'],
  );
});

test('another mask is changed, overlapping or not', () => {
  for (const allowed of [[3], [2, 3], [2, 4]]) {
    assert.deepEqual(
      only(allowed, [1, 2]).map(({ kind }) => kind),
      ['mask_changed'],
      String(allowed),
    );
  }
});

test('a mask that is narrower has not drifted', () => {
  assert.deepEqual(only([2], [1, 2]), []);
  assert.deepEqual(only([2], ALL), []);
});

test('CPUs that are offline count on neither side', () => {
  const topology = without(FLAT, [3, 4]);
  const kind = (allowed: number[], expected: number[]) =>
    drifts(topology, vmOf([thread('emulator', allowed, expected)])).map((drift) => drift.kind);
  assert.deepEqual(kind([2, 3], [2]), []);
  assert.deepEqual(kind([2], [2, 3]), []);
  assert.deepEqual(kind([0, 1, 2, 5, 6, 7], [0, 1]), ['unpinned']);
  assert.deepEqual(kind([1, 2], [2, 3]), ['mask_widened']);
  assert.deepEqual(kind([3], [2]), ['mask_changed']);
});

test('a thread whose expected CPUs are all offline gets another CPU', () => {
  const topology = without(FLAT, [3, 4]);
  const [drift] = drifts(topology, vmOf([thread('vcpu0', ALL, [3, 4], { tid: 7 })]));
  assert.deepEqual(
    [drift?.kind, drift?.why, drift?.fix],
    ['mask_changed', 'none of CPUs 3-4 is online (baseline)', 'taskset -pc 0 7'],
  );
});

test("no command uses CPUs outside the thread's cpuset, because the kernel would refuse it", () => {
  const fix = (expected: number[]) => only([3], expected, { tid: 77, cpuset: [1, 2, 3] })[0]?.fix;
  assert.equal(fix([5]), 'kvm-telemetry accept web vcpu0=3');
  assert.equal(fix([2, 5]), 'taskset -pc 2 77');
  assert.equal(only([2], [1], { tid: 77, cpuset: [1, 2] })[0]?.fix, 'taskset -pc 1 77');
});

test('threads that libvirt manages are pinned by libvirt', () => {
  const fixes = (domain: string) =>
    drifts(
      FLAT,
      vmOf(
        ['vcpu3', 'iothread:iothread2', 'emulator', 'vhost0', 'iothread:x'].map((label, i) =>
          thread(label, [i, i + 1], [i], { tid: 70 + i, seenOn: [] }),
        ),
        { domain },
      ),
    ).flatMap(({ kind, fix }) => (kind === 'mask_widened' ? [fix] : []));
  assert.deepEqual(fixes('web-1'), [
    'virsh vcpupin web-1 3 0 --live',
    'virsh iothreadpin web-1 2 1 --live',
    'virsh emulatorpin web-1 2 --live',
    'taskset -pc 3 73',
    'taskset -pc 4 74',
  ]);
  for (const hostile of ['a b', '$(reboot)', "a'b", '--help', '-1', 'été', 'a\nb']) {
    assert.equal(fixes(hostile)[0], 'virsh vcpupin 8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10 3 0 --live', hostile);
  }
});

test('a thread with an expected affinity that moves too often is migrating', () => {
  const moving = (rate: number | undefined, expected: readonly number[]) =>
    only([1, 2], expected, { migrationsPerSecond: rate }).map(({ kind }) => kind);
  assert.deepEqual(moving(1.5, [1, 2]), ['migrating']);
  assert.deepEqual(moving(1, [1, 2]), []);
  assert.deepEqual(moving(undefined, [1, 2]), []);
  // A thread that may run anywhere moves normally.
  assert.deepEqual(moving(50, ALL), []);
  assert.deepEqual(moving(50, [1]), ['mask_widened', 'migrating']);
  const [drift] = only([1, 2], [1, 2], { migrationsPerSecond: 12.34, tid: 7 });
  assert.deepEqual(
    [drift?.why, drift?.fix],
    ['12.3 migrations per second on CPUs 1-2, limit 1', 'taskset -pc 1 7'],
  );
});

test('a thousand VMs with sixteen threads are judged, both threads that share CPUs and threads that roam', () => {
  const topology = topologyOf(2, 128, 2);
  const lists = topology.cpus.map(({ cpu }) => [cpu]);
  const all = topology.cpus.map(({ cpu }) => cpu);
  const vms = Array.from({ length: 1000 }, (_, i) =>
    vmOf(
      Array.from({ length: 16 }, (_, j) => {
        const cpus = i % 2 === 0 ? (lists[(i * 16 + j) % 512] ?? []) : all;
        return thread(j < 12 ? `vcpu${j}` : `iothread:io${j}`, cpus, cpus);
      }),
      { vm: `vm${i}`, memory: new Map([[0, 1e9]]), deviceNodes: [1] },
    ),
  );
  const found = drifts(topology, ...vms);
  const drifting = new Set(found.map(({ vm }) => vm));
  assert.ok(found.length > 1000);
  assert.ok(vms.every(({ vm }, i) => drifting.has(vm) === (i % 2 === 0)));
});
