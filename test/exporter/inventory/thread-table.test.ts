import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { ThreadTable } from '../../../exporter/inventory/thread-table.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import { type FakeThread, type HostTree, hostTree } from '../../../testing/host-tree.ts';

const MAIN = 'qemu-system-x86';

function vmWith(more: Partial<Vm> = {}): Vm {
  return {
    pid: 10,
    startTime: 1000,
    vmm: 'qemu',
    accel: 'kvm',
    vcpuThreads: new Map(),
    kvmVcpus: new Map(),
    iothreadThreads: new Map(),
    iothreadIds: [],
    diskIds: [],
    ...more,
  } as unknown as Vm;
}

function treeWith(context: TestContext, ...threads: readonly FakeThread[]): HostTree {
  const tree = hostTree(context);
  tree.process({ pid: 10, comm: MAIN, threads });
  return tree;
}

function observed(table: ThreadTable, tree: HostTree, vm = vmWith(), kernelThreads: number[] = []): string[] {
  return table
    .observe(tree.host, vm, kernelThreads)
    .map(({ thread }) => `${thread.tid} ${thread.role} ${thread.label}`);
}

test('each thread has its role, label, start time and path, and the stat that was read', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'CPU 3/KVM', startTime: 1007, utime: 42 });
  const table = new ThreadTable();
  const [, vcpu] = table.observe(tree.host, vmWith(), []);
  assert.deepEqual(vcpu?.thread, {
    tid: 11,
    startTime: 1007,
    comm: 'CPU 3/KVM',
    role: 'vcpu',
    label: 'vcpu3',
    path: `${tree.folder}/proc/10/task/11`,
  });
  assert.equal(vcpu.task.cpuTimes()?.utime, 42);
  assert.deepEqual(
    [...table.threads].map(({ tid }) => tid),
    [10, 11],
  );
});

test('a vhost worker of the kernel is read outside of the process', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'CPU 0/KVM' });
  tree.process({ pid: 77, comm: 'vhost-10', startTime: 1003 });
  const table = new ThreadTable();
  const observations = table.observe(tree.host, vmWith(), [77, 78]);
  assert.deepEqual(
    observations.map(({ thread }) => `${thread.label} ${thread.path.slice(tree.folder.length)}`),
    ['emulator /proc/10/task/10', 'vcpu0 /proc/10/task/11', 'vhost0 /proc/77'],
    '78 has exited',
  );
});

test('a thread keeps its object, so a reader can compare identities', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'CPU 0/KVM' }, { tid: 12, comm: 'worker' });
  const table = new ThreadTable();
  const first = table.observe(tree.host, vmWith(), []).map(({ thread }) => thread);
  const second = table.observe(tree.host, vmWith(), []).map(({ thread }) => thread);
  assert.equal(first.length, 3);
  for (const [i, thread] of first.entries()) assert.equal(second[i], thread);
});

test('a thread that disappears is dropped, and its label is free for a new one', (context) => {
  const tree = treeWith(context, { tid: 14, comm: 'vhost-10' }, { tid: 15, comm: 'vhost-10' });
  const table = new ThreadTable();
  assert.deepEqual(observed(table, tree).slice(1), ['14 vhost vhost0', '15 vhost vhost1']);
  tree.remove('proc/10/task/14');
  assert.deepEqual(observed(table, tree).slice(1), ['15 vhost vhost1'], 'keeps its label');
  tree.process({ pid: 10, comm: MAIN, threads: [{ tid: 16, comm: 'vhost-10', startTime: 1100 }] });
  assert.deepEqual(observed(table, tree).slice(1), ['15 vhost vhost1', '16 vhost vhost0']);
  assert.deepEqual(
    [...table.threads].map(({ tid }) => tid),
    [10, 15, 16],
  );
});

test('a thread that exits between the listing and the read is left out', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'CPU 0/KVM' });
  mkdirSync(`${tree.folder}/proc/10/task/12`);
  assert.deepEqual(observed(new ThreadTable(), tree), ['10 emulator emulator', '11 vcpu vcpu0']);
});

test('a zombie and a dead thread are left out', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'CPU 0/KVM' }, { tid: 12, comm: 'worker' });
  const stat = (tid: number, state: string): void =>
    tree.write(`proc/10/task/${tid}/stat`, `${tid} (gone) ${state} ${Array(49).fill('0').join(' ')}\n`);
  stat(11, 'Z');
  stat(12, 'X');
  assert.deepEqual(observed(new ThreadTable(), tree), ['10 emulator emulator']);
});

test('a malformed stat is an error, because the thread is unknown', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'CPU 0/KVM' });
  tree.write('proc/10/task/11/stat', '11 (CPU 0/KVM\n');
  assert.throws(() => new ThreadTable().observe(tree.host, vmWith(), []), { kind: 'malformed' });
});

test('a process that has exited is a specific error', (context) => {
  const tree = treeWith(context);
  tree.remove('proc/10');
  assert.throws(() => new ThreadTable().observe(tree.host, vmWith(), []), { kind: 'absent' });
});

test('a thread id that is used again is a new thread, whose role is decided again', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'vhost-10' }, { tid: 12, comm: 'vhost-10' });
  const table = new ThreadTable();
  const before = table.observe(tree.host, vmWith(), [])[1]?.thread;
  tree.process({ pid: 10, comm: MAIN, threads: [{ tid: 11, comm: 'vhost-10', startTime: 1001 }] });
  const after = table.observe(tree.host, vmWith(), [])[1]?.thread;
  assert.notEqual(after, before);
  assert.equal(after?.startTime, 1001);
  assert.equal(after.label, 'vhost0', 'the label of the old thread is free');
});

test('a thread that changes its name has its role decided again', (context) => {
  const tree = treeWith(context, { tid: 11, comm: MAIN });
  const table = new ThreadTable();
  assert.deepEqual(observed(table, tree)[1], '11 unknown unknown');
  tree.process({ pid: 10, comm: MAIN, threads: [{ tid: 11, comm: 'IO io0' }] });
  assert.deepEqual(observed(table, tree)[1], '11 iothread iothread:io0');
});

test('a vCPU that KVM identifies later replaces the role from the name, and is then kept', (context) => {
  const tree = treeWith(context, { tid: 11, comm: 'CPU 0/KVM' }, { tid: 12, comm: 'worker' });
  const table = new ThreadTable();
  assert.deepEqual(observed(table, tree).slice(1), ['11 vcpu vcpu0', '12 worker worker']);
  const told = vmWith({ vcpuThreads: new Map([[11, 0], [12, 7]]) }); // biome-ignore format: pairs
  const before = table.observe(tree.host, told, [])[2]?.thread;
  assert.deepEqual(observed(table, tree, told).slice(1), ['11 vcpu vcpu0', '12 vcpu vcpu7']);
  assert.equal(table.observe(tree.host, told, [])[2]?.thread, before);
  const moved = vmWith({ vcpuThreads: new Map([[11, 1]]) });
  assert.deepEqual(observed(table, tree, moved)[1], '11 vcpu vcpu1');
});

test('vCPU 1 does not keep the label of vCPU 10', (context) => {
  const tree = treeWith(context, { tid: 11, comm: MAIN });
  const table = new ThreadTable();
  // KVM knows the APIC id, the monitor the index.
  const labels = (more: Partial<Vm>): string | undefined => observed(table, tree, vmWith(more))[1];
  assert.equal(labels({ kvmVcpus: new Map([[11, 10]]) }), '11 vcpu vcpu10');
  assert.equal(labels({ vcpuThreads: new Map([[11, 1]]) }), '11 vcpu vcpu1');
});

test('an IOThread that the monitor identifies replaces the role from the name; vCPUs and the monitor stay', (context) => {
  const tree = treeWith(
    context,
    { tid: 11, comm: 'CPU 0/KVM' },
    { tid: 12, comm: 'IO mon_iothread' },
    { tid: 13, comm: MAIN },
  );
  const table = new ThreadTable();
  assert.deepEqual(observed(table, tree).slice(1), [
    '11 vcpu vcpu0',
    '12 monitor monitor',
    '13 unknown unknown',
  ]);
  const ids = new Map([11, 12, 13].map((tid) => [tid, `id${tid}`]));
  assert.deepEqual(observed(table, tree, vmWith({ iothreadThreads: ids })).slice(1), [
    '11 vcpu vcpu0',
    '12 monitor monitor',
    '13 iothread iothread:id13',
  ]);
});

test('an IOThread whose id is too long for a name is found by its place; the monitor overrides that', (context) => {
  const long = 'averyveryverylongid';
  const tree = treeWith(context, { tid: 11, comm: MAIN }, { tid: 12, comm: 'CPU 0/KVM' });
  const vm = vmWith({ iothreadIds: [long] });
  assert.deepEqual(observed(new ThreadTable(), tree, vm)[1], `11 iothread iothread:${long}`);
  const monitored = vmWith({ iothreadIds: [long], iothreadThreads: new Map([[11, 'other']]) });
  assert.deepEqual(observed(new ThreadTable(), tree, monitored)[1], '11 iothread iothread:other');
  assert.deepEqual(observed(new ThreadTable(), tree)[1], '11 unknown unknown', 'no IOThread was configured');
});

test('two threads of one name have different labels; pooled roles share theirs', (context) => {
  const names = [
    'CPU 0/KVM',
    'CPU 0/KVM',
    'CPU 0/KVM',
    'IO a',
    'IO a',
    'iou-sqp-10',
    'iou-sqp-10',
    'worker',
    'worker',
  ];
  const tree = treeWith(context, ...names.map((comm, i) => ({ tid: 11 + i, comm })));
  assert.deepEqual(
    observed(new ThreadTable(), tree)
      .slice(1)
      .map((line) => line.split(' ')[2]),
    ['vcpu0', 'vcpu0~2', 'vcpu0~3', 'iothread:a', 'iothread:a~2', 'sqpoll0', 'sqpoll1', 'worker', 'worker'],
  );
});

test('a hostile id becomes a harmless label, unique after it was cleaned, and of bounded length', (context) => {
  const tree = treeWith(context, { tid: 11, comm: MAIN }, { tid: 12, comm: MAIN }, { tid: 13, comm: MAIN });
  const ids = new Map([
    [11, 'io\u001b[2J'],
    [12, 'io\u0007[2J'],
    [13, 'x'.repeat(5000)],
  ]);
  const labels = observed(new ThreadTable(), tree, vmWith({ iothreadThreads: ids }))
    .slice(1)
    .map((line) => line.split(' ')[2] ?? '');
  assert.deepEqual(labels.slice(0, 2), ['iothread:io?[2J', 'iothread:io?[2J~2']);
  assert.match(labels[2] ?? '', /^iothread:x{89}…[0-9a-f]{10}$/);
});

test('a name in UTF-8 is a label in UTF-8', (context) => {
  const tree = treeWith(context, { tid: 11, comm: Buffer.from('IO größe').toString('latin1') });
  assert.deepEqual(observed(new ThreadTable(), tree)[1], '11 iothread iothread:größe');
});

test('more threads than any VMM needs are left out, and the oldest are kept', (context) => {
  const tree = treeWith(
    context,
    ...Array.from({ length: 4100 }, (_, i) => ({ tid: 100 + i, comm: 'worker' })),
  );
  const table = new ThreadTable();
  const observations = table.observe(tree.host, vmWith(), []);
  assert.equal(observations.length, 4096);
  assert.equal(observations.at(-1)?.thread.tid, 100 + 4094);
});
