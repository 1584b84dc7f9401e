import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Inventory } from '../../../exporter/inventory/inventory.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import { PF_KTHREAD } from '../../../probes/proc-task-stat.ts';
import { type FakeProcess, type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { KVM_VM, qemuProcess as qemu } from '../../../testing/qemu-process.ts';

async function labels(inventory: Inventory, full = true): Promise<string[]> {
  await inventory.refresh(full);
  return inventory.vms.map(({ label }) => label);
}

async function only(tree: HostTree): Promise<Vm> {
  const inventory = new Inventory(tree.host);
  await inventory.refresh(true);
  assert.equal(inventory.vms.length, 1);
  return inventory.vms[0] as Vm;
}

function setUp(context: TestContext, ...processes: FakeProcess[]): { tree: HostTree; inventory: Inventory } {
  const tree = hostTree(context);
  for (const process of processes) tree.process(process);
  return { tree, inventory: new Inventory(tree.host) };
}

test("every VMM is recognized, with the VM's name", async (context) => {
  const vmms: [string, string, FakeProcess][] = [
    ['qemu', 'web', qemu(10, 'web')],
    [
      'qemu',
      'old',
      qemu(10, 'x', { argv: ['/usr/libexec/qemu-kvm', '-name', 'old'], executable: '/usr/libexec/qemu-kvm' }),
    ],
    [
      'cloud-hypervisor',
      '/x',
      { pid: 10, comm: 'cloud-hyperviso', argv: ['cloud-hypervisor', '--api-socket', '/x'] },
    ],
    ['firecracker', 'fc-1', { pid: 10, comm: 'firecracker', argv: ['/firecracker', '--id', 'fc-1'] }],
    ['crosvm', 'arc', { pid: 10, comm: 'crosvm', argv: ['crosvm', 'run', '--name=arc'] }],
    ['kvmtool', 'lk', { pid: 10, comm: 'lkvm', argv: ['lkvm', 'run', '--name', 'lk'] }],
    ['other', '10', { pid: 10, comm: 'runsc-sandbox', argv: ['runsc-sandbox'] }],
  ];
  for (const [vmm, name, process] of vmms) {
    const { tree } = setUp(context, { ...process, fds: { 10: KVM_VM } });
    const vm = await only(tree);
    assert.equal(vm.vmm, vmm);
    assert.equal(vm.label, name);
    assert.equal(vm.accel, 'kvm');
  }
});

test('a process without a kvm-vm descriptor is no VM, whatever its name', async (context) => {
  const { inventory } = setUp(context, qemu(10, 'web', { fds: { 9: '/dev/kvm' } }));
  assert.deepEqual(await labels(inventory), []);
});

test('a file named like the descriptor of a VM does not make one', async (context) => {
  const { inventory } = setUp(context, qemu(10, 'web', { fds: { 10: `/tmp/${KVM_VM}` } }));
  assert.deepEqual(await labels(inventory), []);
});

test('the QEMU process that libvirt starts to query capabilities is no VM', async (context) => {
  const argv = ['qemu-system-x86_64', '-machine', 'none,accel=kvm:tcg', '-S'];
  const { inventory } = setUp(context, qemu(10, 'x', { argv }));
  assert.deepEqual(await labels(inventory), []);
});

test('a VM that exits is removed at once, and a reused pid is another VM', async (context) => {
  const { tree, inventory } = setUp(context, qemu(10, 'web'));
  assert.deepEqual(await labels(inventory), ['web']);
  tree.remove('proc/10');
  assert.deepEqual(await labels(inventory, false), []);
  tree.process(qemu(10, 'db', { startTime: 2000 }));
  assert.deepEqual(await labels(inventory), ['db']);
});

test('a pid that is reused between two passes is not mistaken for the old VM', async (context) => {
  const { tree, inventory } = setUp(context, qemu(10, 'web'));
  await inventory.refresh(true);
  const [old] = inventory.vms;
  tree.process(qemu(10, 'db', { startTime: 2000 }));
  assert.throws(() => inventory.observeThreads(old as Vm), /another one now/);
  assert.deepEqual(await labels(inventory), ['db']);
});

test('a zombie, and a VMM that closed its VM, are no VMs any more', async (context) => {
  const { tree, inventory } = setUp(context, qemu(10, 'a'), qemu(20, 'b'), qemu(30, 'c'));
  assert.deepEqual(await labels(inventory), ['a', 'b', 'c']);
  tree.process(qemu(10, 'a', { state: 'Z' }));
  tree.remove('proc/20/fd/9');
  assert.deepEqual(await labels(inventory, false), ['c']);
});

test('a quick pass finds a VM that started since', async (context) => {
  const { tree, inventory } = setUp(context, qemu(10, 'a'));
  await inventory.refresh(true);
  tree.process(qemu(20, 'b'));
  assert.deepEqual(await labels(inventory, false), ['a', 'b']);
});

test('a VMM that creates its VM long after its start is found', async (context) => {
  const idle: FakeProcess = { pid: 10, comm: 'firecracker', argv: ['firecracker', '--id', 'late'] };
  const { tree, inventory } = setUp(context, idle);
  for (let pass = 0; pass < 10; pass++) assert.deepEqual(await labels(inventory), []);
  tree.process({ ...idle, fds: { 5: KVM_VM } });
  assert.deepEqual(await labels(inventory), ['late']);
});

test('a process that is no known VMM is checked again in turn', async (context) => {
  const daemon: FakeProcess = { pid: 10, comm: 'sandboxd' };
  const { tree, inventory } = setUp(context, daemon);
  for (let pass = 0; pass < 10; pass++) await inventory.refresh(true);
  tree.process({ ...daemon, fds: { 5: KVM_VM } });
  assert.deepEqual(await labels(inventory), ['10']);
});

test('two VMs of one name have different labels', async (context) => {
  const { inventory } = setUp(context, qemu(10, 'web', { startTime: 5 }), qemu(20, 'web', { startTime: 9 }));
  assert.deepEqual(await labels(inventory), ['web', 'web~20']);
});

test('hostile names become harmless labels', async (context) => {
  const { inventory } = setUp(
    context,
    qemu(10, 'a"} 1\nkvm_vm_info{vm="b'),
    qemu(20, '\xff\xfe'),
    qemu(30, ''),
  );
  assert.deepEqual(await labels(inventory), ['30', '??', 'a"} 1?kvm_vm_info{vm="b']);
});

test('a debugfs directory named after a thread belongs to the process of that thread', async (context) => {
  const { tree } = setUp(context, {
    pid: 10,
    comm: 'cloud-hyperviso',
    argv: ['cloud-hypervisor'],
    fds: { 20: KVM_VM },
    threads: [
      { tid: 11, comm: 'vmm' },
      { tid: 12, comm: 'vcpu0' },
    ],
  });
  tree.write('sys/kernel/debug/kvm/11-20/exits', '42\n');
  tree.write('sys/kernel/debug/kvm/99-7/exits', '7\n');
  tree.write('sys/kernel/debug/kvm/notes-1/exits', '7\n');
  const vm = await only(tree);
  assert.deepEqual(
    vm.directories.map(({ name }) => name),
    ['11-20'],
  );
});

test('a debugfs directory whose creator has exited is found by its vCPU', async (context) => {
  const { tree } = setUp(context, qemu(10, 'web', { threads: [{ tid: 12, comm: 'CPU 0/KVM' }] }));
  tree.write('sys/kernel/debug/kvm/11-20/vcpu0/pid', '12\n');
  const vm = await only(tree);
  assert.deepEqual(
    vm.directories.map(({ name }) => name),
    ['11-20'],
  );
  assert.deepEqual([...vm.vcpuThreads], [[12, 0]]);
});

test("libvirt's state names only the VM whose process it describes", async (context) => {
  const uuid = '11111111-2222-3333-4444-555555555555';
  const argv = ['qemu-system-x86_64', '-name', 'guest=cli-name', '-uuid', uuid];
  const { tree, inventory } = setUp(context, qemu(10, 'x', { argv }), qemu(20, 'web', { startTime: 1 }));
  const status = (pid: number, id: string, name = 'web'): string =>
    `<domstatus state='running' reason='booted' pid='${pid}'><vcpus><vcpu id='0' pid='11'/></vcpus><domain type='kvm' id='1'><name>${name}</name><uuid>${id}</uuid></domain></domstatus>`;
  tree.write('run/libvirt/qemu/web.xml', status(10, uuid));
  tree.write('run/libvirt/qemu/stale.xml', status(20, '99999999-2222-3333-4444-555555555555', 'stale'));
  assert.deepEqual(await labels(inventory), ['web', 'web~20']);
  const [managed] = inventory.vms;
  assert.equal(managed?.manager, 'libvirt');
  assert.deepEqual([...(managed?.vcpuThreads ?? [])], [[11, 0]]);
});

const UUID = '11111111-2222-3333-4444-555555555555';

/** A domain with two vCPUs and an IOThread, of which libvirt has pinned one vCPU. */
function managed(context: TestContext) {
  const argv = ['qemu-system-x86_64', '-name', 'guest=web', '-uuid', UUID];
  const found = setUp(context, qemu(10, 'web', { argv }));
  const state = (cputune: string): void =>
    found.tree.write(
      'run/libvirt/qemu/web.xml',
      `<domstatus state='running' reason='booted' pid='10'><vcpus><vcpu id='0' pid='11'/><vcpu id='1' pid='12'/></vcpus><domain type='kvm' id='1'><name>web</name><uuid>${UUID}</uuid><iothreads>1</iothreads><cputune>${cputune}</cputune></domain></domstatus>`,
    );
  const definition = (cputune: string): void =>
    found.tree.write(
      'etc/libvirt/qemu/web.xml',
      `<domain type='kvm'><name>web</name><uuid>${UUID}</uuid><cputune>${cputune}</cputune></domain>\n`,
    );
  const pins = () => {
    const { vcpus, iothreads, emulator } = found.inventory.vms[0]?.pins ?? {};
    return {
      vcpus: Object.fromEntries(vcpus ?? []),
      iothreads: Object.fromEntries(iothreads ?? []),
      emulator,
    };
  };
  state("<vcpupin vcpu='0' cpuset='1'/>");
  return { ...found, state, definition, pins };
}

test('a persistent definition adds the pins that the live state lacks, and no others', async (context) => {
  const { inventory, definition, pins, tree } = managed(context);
  await inventory.refresh(true);
  assert.deepEqual(pins(), { vcpus: { 0: [1] }, iothreads: {}, emulator: undefined });
  definition(
    "<vcpupin vcpu='0' cpuset='7'/><vcpupin vcpu='1' cpuset='2'/><emulatorpin cpuset='0'/><iothreadpin iothread='1' cpuset='3'/>",
  );
  await inventory.refresh(true);
  assert.deepEqual(pins(), { vcpus: { 0: [1], 1: [2] }, iothreads: { 1: [3] }, emulator: [0] });
  tree.remove('etc/libvirt/qemu/web.xml');
  await inventory.refresh(true);
  assert.deepEqual(pins(), { vcpus: { 0: [1] }, iothreads: {}, emulator: undefined });
});

test('a malformed definition is reported and affects no other VM', async (context) => {
  const { tree, inventory, pins } = managed(context);
  tree.write('etc/libvirt/qemu/web.xml', "<domain type='kvm'><cputune>");
  assert.deepEqual(await labels(inventory), ['web']);
  assert.deepEqual(pins().vcpus, { 0: [1] });
  assert.deepEqual(
    inventory.problems.get('libvirt')?.map(({ kind, path }) => `${kind} ${path}`),
    ['malformed libvirt domain'],
  );
});

test('pins that libvirt changed are adopted between two passes', async (context) => {
  const { inventory, state, pins, tree } = managed(context);
  await inventory.refresh(true);
  const [before] = inventory.vms;
  inventory.refreshPins();
  assert.equal(inventory.vms[0], before, 'nothing has changed');
  state("<vcpupin vcpu='0' cpuset='2-3'/>");
  utimesSync(`${tree.folder}/run/libvirt/qemu/web.xml`, 5, 5);
  assert.deepEqual(pins().vcpus, { 0: [1] });
  inventory.refreshPins();
  assert.deepEqual(pins().vcpus, { 0: [2, 3] });
  tree.remove('run/libvirt/qemu/web.xml');
  inventory.refreshPins();
  assert.deepEqual(pins().vcpus, { 0: [2, 3] });
});

test('an invalid libvirt state file is reported and affects no other VM', async (context) => {
  const { tree, inventory } = setUp(context, qemu(10, 'web'));
  tree.write('run/libvirt/qemu/broken.xml', '<domstatus');
  assert.deepEqual(await labels(inventory), ['web']);
  assert.equal(inventory.problems.get('libvirt')?.length, 1);
});

test('a vhost worker that is a kernel thread belongs to its VM, one that only claims the name does not', async (context) => {
  const { inventory } = setUp(
    context,
    qemu(10, 'web'),
    { pid: 50, comm: 'vhost-10', flags: PF_KTHREAD },
    { pid: 60, comm: 'vhost-10' },
  );
  await inventory.refresh(true);
  const threads = inventory
    .observeThreads(inventory.vms[0] as Vm)
    .map(({ thread }) => `${thread.tid} ${thread.label}`);
  assert.deepEqual(threads, ['10 emulator', '50 vhost0']);
});

test('threads keep their labels, and two threads with one name get different labels', async (context) => {
  const threads = [
    { tid: 11, comm: 'CPU 0/KVM' },
    { tid: 12, comm: 'CPU 0/KVM' },
    { tid: 13, comm: 'IO io0' },
    { tid: 14, comm: 'vhost-10' },
    { tid: 15, comm: 'vhost-10' },
  ];
  const { tree, inventory } = setUp(context, qemu(10, 'web', { threads }));
  await inventory.refresh(true);
  const observed = (): string[] =>
    inventory.observeThreads(inventory.vms[0] as Vm).map(({ thread }) => `${thread.tid} ${thread.label}`);
  assert.deepEqual(observed(), [
    '10 emulator',
    '11 vcpu0',
    '12 vcpu0~2',
    '13 iothread:io0',
    '14 vhost0',
    '15 vhost1',
  ]);
  tree.remove('proc/10/task/14');
  assert.deepEqual(observed().at(-1), '15 vhost1');
});

test('a thread id that is reused is another thread', async (context) => {
  const { tree, inventory } = setUp(context, qemu(10, 'web', { threads: [{ tid: 11, comm: 'CPU 0/KVM' }] }));
  await inventory.refresh(true);
  const vm = inventory.vms[0] as Vm;
  assert.equal(inventory.observeThreads(vm)[1]?.thread.role, 'vcpu');
  tree.process(qemu(10, 'web', { threads: [{ tid: 11, comm: 'worker', startTime: 5000 }] }));
  assert.equal(inventory.observeThreads(vm)[1]?.thread.role, 'worker');
});

test('an unreadable root is reported once', async (context) => {
  const { tree, inventory } = setUp(context);
  tree.remove('proc');
  await assert.rejects(inventory.refresh(true), /proc: ENOENT/);
  assert.deepEqual(inventory.vms, []);
});

test('10,000 directories of unknown VMs are ignored', async (context) => {
  const { tree, inventory } = setUp(context, qemu(5, 'web'));
  for (let i = 0; i < 10_000; i++) tree.write(`sys/kernel/debug/kvm/${100_000 + i}-7/exits`, '1\n');
  assert.deepEqual(await labels(inventory), ['web']);
});
