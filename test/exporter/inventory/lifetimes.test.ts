import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Inventory } from '../../../exporter/inventory/inventory.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import { SourceError } from '../../../probes/errors.ts';
import { PF_KTHREAD } from '../../../probes/proc-task-stat.ts';
import { type FakeProcess, type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { KVM_VM, qemuProcess as qemu } from '../../../testing/qemu-process.ts';

const QEMU = '/usr/bin/qemu-system-x86_64';

const NO_FILES = { disks: [], others: [] };

async function started(
  context: TestContext,
  ...processes: FakeProcess[]
): Promise<{ tree: HostTree; inventory: Inventory }> {
  const tree = hostTree(context);
  for (const process of processes) tree.process(process);
  const inventory = new Inventory(tree.host);
  await inventory.refresh(true);
  return { tree, inventory };
}

function labels(inventory: Inventory): string[] {
  return inventory.vms.map(({ label }) => label);
}

function threads(inventory: Inventory, vm = inventory.vms[0] as Vm): string[] {
  return inventory.observeThreads(vm).map(({ thread }) => `${thread.tid} ${thread.role} ${thread.label}`);
}

test('a quick pass reads new processes only; a full pass reads all', async (context) => {
  const idle: FakeProcess = { pid: 10, comm: 'sandboxd' };
  const { tree, inventory } = await started(context, idle);
  tree.process({ ...idle, fds: { 5: KVM_VM } });
  tree.process(qemu(20, 'new'));
  await inventory.refresh(false);
  assert.deepEqual(labels(inventory), ['new']);
  await inventory.refresh(true);
  assert.deepEqual(labels(inventory), ['10', 'new']);
});

test('a quick pass reads an old process once KVM lists it as the creator of a VM', async (context) => {
  const idle: FakeProcess = { pid: 10, comm: 'sandboxd' };
  const { tree, inventory } = await started(context, idle);
  tree.process({ ...idle, fds: { 5: KVM_VM } });
  tree.write('sys/kernel/debug/kvm/10-5/exits', '1\n');
  await inventory.refresh(false);
  assert.deepEqual(labels(inventory), ['10']);
});

test('a reused pid is another VM with its own threads, label and hints', async (context) => {
  const vcpu = [{ tid: 11, comm: 'CPU 0/KVM' }];
  const { tree, inventory } = await started(context, qemu(10, 'web', { threads: vcpu }));
  const [old] = inventory.vms;
  inventory.hint(old?.key ?? '', {
    vcpus: new Map([[11, 7]]),
    iothreads: new Map(),
    files: NO_FILES,
    signs: new Set(),
  });
  assert.deepEqual(threads(inventory), ['10 emulator emulator', '11 vcpu vcpu7']);
  tree.process(qemu(10, 'web', { threads: vcpu, startTime: 2000 }));
  await inventory.refresh(false);
  const [young] = inventory.vms;
  assert.notEqual(young?.key, old?.key);
  assert.deepEqual(threads(inventory), ['10 emulator emulator', '11 vcpu vcpu0']);
  assert.throws(() => inventory.observeThreads(old as Vm), { kind: 'vanished' });
  assert.deepEqual([...inventory.threadsOf(old as Vm)], []);
});

test('an executable that replaces another in the same process is read again', async (context) => {
  const script: FakeProcess = {
    pid: 10,
    comm: 'qemu-kvm',
    executable: '/usr/bin/bash',
    argv: ['sh', 'qemu-kvm'],
  };
  const { tree, inventory } = await started(context, script);
  assert.deepEqual(labels(inventory), []);
  tree.process(qemu(10, 'web', { comm: 'qemu-kvm' }));
  for (let i = 0; i < 10; i++) await inventory.refresh(true);
  assert.deepEqual(labels(inventory), ['web']);
});

test("programs with a name like QEMU's are no VMs: siblings, scripts, wrappers, device servers, queries", async (context) => {
  const argv = ['qemu-system-x86_64', '-name', 'web', '-m', '16'];
  const other = (pid: number, executable: string, more: Partial<FakeProcess> = {}): FakeProcess =>
    qemu(pid, 'x', { executable, argv, fds: {}, ...more });
  const { inventory } = await started(
    context,
    other(10, '/usr/bin/python3'),
    other(20, '/usr/bin/bash', { comm: 'kvm' }),
    other(30, '/usr/bin/qemu-storage-daemon'),
    other(40, '/usr/bin/qemu-img'),
    other(50, '/usr/bin/gdb', { argv: ['gdb', '--args', ...argv] }),
    other(60, '/usr/bin/qemu-x86_64-static'),
    other(70, QEMU, { argv: ['qemu-system-x86_64', '-machine', 'x-remote,vfio-user=on'] }),
    other(80, QEMU, { argv: ['qemu-system-x86_64', '-version'] }),
    other(90, QEMU, { argv: ['qemu-system-x86_64', '-device', 'help'] }),
    other(100, QEMU, { argv: ['qemu-system-x86_64', '-M', '?'] }),
  );
  assert.deepEqual(labels(inventory), []);
});

test('QEMU is recognized after an upgrade, in a wrapper of NixOS, and by all its names', async (context) => {
  const programs = [
    `${QEMU} (deleted)`,
    '/nix/store/x/bin/.qemu-system-x86_64-wrapped',
    '/usr/libexec/qemu-kvm',
    '/usr/bin/kvm',
    '/usr/bin/qemu-system-x86_64-spice',
    '/usr/bin/qemu-system-aarch64',
  ];
  const processes = programs.map((executable, i) => qemu(10 + i, `vm${i}`, { executable }));
  const { inventory } = await started(context, ...processes);
  assert.deepEqual(
    inventory.vms.map(({ vmm, label }) => `${vmm} ${label}`),
    programs.map((_, i) => `qemu vm${i}`),
  );
});

test('vhost workers of the kernel come and go with their names', async (context) => {
  const worker = (pid: number, owner: number): FakeProcess => ({
    pid,
    comm: `vhost-${owner}`,
    flags: PF_KTHREAD,
  });
  const { tree, inventory } = await started(
    context,
    qemu(10, 'web'),
    qemu(20, 'db'),
    worker(50, 10),
    worker(51, 10),
    worker(52, 20),
  );
  const [db, web] = inventory.vms;
  assert.deepEqual(threads(inventory, web), ['10 emulator emulator', '50 vhost vhost0', '51 vhost vhost1']);
  assert.deepEqual(threads(inventory, db), ['20 emulator emulator', '52 vhost vhost0']);
  tree.remove('proc/50');
  await inventory.refresh(false);
  assert.deepEqual(threads(inventory, web), ['10 emulator emulator', '51 vhost vhost1']);
});

test('a VM keeps its label, and a newer VM of the same name gets another', async (context) => {
  const uuid = '4c7a2c1d-0000-4111-8222-aabbccddeeff';
  const { tree, inventory } = await started(context, qemu(20, 'web', { startTime: 50 }));
  const older = qemu(10, 'web', { startTime: 5 });
  tree.process({ ...older, argv: [...(older.argv ?? []), '-uuid', uuid] });
  for (const full of [false, true, false, true]) {
    await inventory.refresh(full);
    assert.deepEqual(labels(inventory), ['web', 'web~4c7a2c1d']);
    assert.deepEqual(
      inventory.vms.map(({ pid }) => pid),
      [20, 10],
    );
  }
  tree.remove('proc/20');
  await inventory.refresh(true);
  assert.deepEqual(labels(inventory), ['web~4c7a2c1d'], 'its series go on under the label it has');
});

test('a TCG VM loses its name to a later KVM VM', async (context) => {
  if (process.getuid?.() !== 0) return context.skip('needs root, whose program the emulator must be');
  const { tree, inventory } = await started(context);
  tree.write('usr/bin/qemu-system-x86_64', '');
  const argv = ['qemu-system-x86_64', '-name', 'web', '-accel', 'tcg'];
  const executable = `${tree.folder}/usr/bin/qemu-system-x86_64`;
  tree.process(qemu(10, 'x', { argv, executable, fds: {}, startTime: 5 }));
  await inventory.refresh(true);
  assert.deepEqual(
    inventory.vms.map(({ label, accel }) => `${label} ${accel}`),
    ['web tcg'],
  );
  tree.process(qemu(20, 'web', { startTime: 50 }));
  await inventory.refresh(false);
  assert.deepEqual(
    inventory.vms.map(({ label, accel }) => `${label} ${accel}`),
    ['web kvm', 'web~10 tcg'],
  );
});

test('a quick pass removes VMs that exited and keeps the others', async (context) => {
  const { tree, inventory } = await started(
    context,
    qemu(10, 'a'),
    qemu(20, 'b'),
    qemu(30, 'c'),
    qemu(40, 'd'),
  );
  const d = inventory.vms[3];
  tree.remove('proc/10');
  tree.process(qemu(20, 'b', { state: 'X' }));
  tree.link('proc/30/fd/9', '/dev/null');
  await inventory.refresh(false);
  assert.deepEqual(inventory.vms, [d]);
  assert.equal(inventory.problems.get('inventory')?.length, 0);
});

test("hints apply to their VM's threads at once and in later passes", async (context) => {
  const nameless = [11, 12, 13].map((tid) => ({ tid, comm: 'qemu-system-x86' }));
  const { inventory } = await started(context, qemu(10, 'web', { threads: nameless }));
  const key = inventory.vms[0]?.key ?? '';
  assert.deepEqual(threads(inventory).slice(1), [
    '11 unknown unknown',
    '12 unknown unknown',
    '13 unknown unknown',
  ]);
  inventory.hint('99:1000', {
    vcpus: new Map([[11, 5]]),
    iothreads: new Map(),
    files: NO_FILES,
    signs: new Set(),
  });
  inventory.hint(key, {
    vcpus: new Map([[12, 0]]),
    iothreads: new Map([[11, 'io0']]),
    files: NO_FILES,
    signs: new Set(),
  });
  const named = ['11 iothread iothread:io0', '12 vcpu vcpu0', '13 unknown unknown'];
  assert.deepEqual(threads(inventory).slice(1), named);
  await inventory.refresh(true);
  assert.deepEqual(threads(inventory).slice(1), named);
  assert.deepEqual([...(inventory.vms[0]?.vcpuThreads ?? [])], [[12, 0]]);
});

test('an IOThread with a long id is identified by its order, and keeps its label when another one ends', async (context) => {
  const ids = ['io0', 'averyveryverylongid', 'thirteenchar1'];
  const argv = [...(qemu(10, 'web').argv ?? []), ...ids.flatMap((id) => ['-object', `iothread,id=${id}`])];
  const names = ['call_rcu', 'IO io0', 'qemu-system-x86', 'qemu-system-x86', 'worker', 'CPU 0/KVM'];
  const own = names.map((comm, i) => ({ tid: 11 + i, comm }));
  const { tree, inventory } = await started(context, qemu(10, 'web', { argv, threads: own }));
  assert.deepEqual(threads(inventory).slice(2, 5), [
    '12 iothread iothread:io0',
    '13 iothread iothread:averyveryverylongid',
    '14 iothread iothread:thirteenchar1',
  ]);
  tree.remove('proc/10/task/13');
  assert.deepEqual(threads(inventory)[3], '14 iothread iothread:thirteenchar1');
});

test('a VM whose command line exceeds the limit is found, with the options of the beginning', async (context) => {
  const argv = [...(qemu(10, 'long').argv ?? []), '-uuid', '4c7a2c1d-0000-4111-8222-aabbccddeeff'];
  for (let i = 0; i < 20_000; i++) argv.push('-device', `scsi-hd,drive=${'d'.repeat(100)}${i}`);
  const { inventory } = await started(context, qemu(10, 'long', { argv }), qemu(20, 'short'));
  const [long, short] = inventory.vms;
  assert.deepEqual([long?.label, long?.uuid.slice(0, 8), long?.devices], ['long', '4c7a2c1d', undefined]);
  assert.notEqual(short?.devices, undefined);
  assert.match(inventory.limits[0] ?? '', /^the devices of long are not known: its command line is longer/);
});

test('hot-plugged vCPUs are found in the next full pass', async (context) => {
  const { tree, inventory } = await started(
    context,
    qemu(10, 'web', {
      threads: [
        { tid: 11, comm: 'x' },
        { tid: 12, comm: 'x' },
      ],
    }),
  );
  assert.deepEqual(threads(inventory).slice(1), ['11 other other', '12 other other']);
  tree.write('sys/kernel/debug/kvm/10-9/vcpu0/pid', '11\n');
  await inventory.refresh(true);
  assert.deepEqual(threads(inventory).slice(1), ['11 vcpu vcpu0', '12 other other']);
  tree.write('sys/kernel/debug/kvm/10-9/vcpu1/pid', '12\n');
  await inventory.refresh(true);
  assert.deepEqual(threads(inventory).slice(1), ['11 vcpu vcpu0', '12 vcpu vcpu1']);
});

test('concurrent callers share one pass; a quick pass does not replace a full one', async (context) => {
  const { tree, inventory } = await started(context);
  tree.process({ pid: 10, comm: 'sandboxd' });
  await inventory.refresh(true);
  tree.process({ pid: 10, comm: 'sandboxd', fds: { 5: KVM_VM } });
  const quick = inventory.refresh(false);
  const full = inventory.refresh(true);
  await Promise.all([quick, full]);
  assert.deepEqual(labels(inventory), ['10']);
});

test('a call during a pass starts no further pass, except a full one after a quick one', async (context) => {
  const tree = hostTree(context);
  let passes = 0;
  const inventory = new Inventory({
    ...tree.host,
    entries: (path) => {
      if (path === `${tree.host.roots.debugfs}/kvm`) passes++;
      return tree.host.entries(path);
    },
  });
  const passesOf = async (...full: boolean[]): Promise<number> => {
    passes = 0;
    await Promise.all(full.map((each) => inventory.refresh(each)));
    return passes;
  };
  assert.equal(await passesOf(true), 1);
  assert.equal(await passesOf(false, false), 1);
  assert.equal(await passesOf(true, false, true), 1);
  assert.equal(await passesOf(false, true, false), 2);
});

test('a process that cannot be identified is reported, and found when it can be', async (context) => {
  const tree = hostTree(context);
  tree.process(qemu(10, 'web'));
  tree.process(qemu(20, 'db'));
  let isBroken = true;
  const inventory = new Inventory({
    ...tree.host,
    slowHead: async (path, ...limits) => {
      if (isBroken && path.endsWith('/10/cmdline')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return tree.host.slowHead(path, ...limits);
    },
  });
  await inventory.refresh(true);
  assert.deepEqual(labels(inventory), ['db']);
  assert.deepEqual(
    inventory.problems.get('inventory')?.map(({ path, code }) => `${path} ${code}`),
    [`${tree.host.roots.procfs}/10 EIO`],
  );
  isBroken = false;
  await inventory.refresh(true);
  assert.deepEqual(labels(inventory), ['db', 'web']);
  assert.deepEqual(inventory.problems.get('inventory'), []);
});

test('a VM whose descriptors cannot be read for a while continues with all its counters', async (context) => {
  const { tree, inventory } = await started(context, qemu(10, 'web'));
  const [before] = inventory.vms;
  const failing = new Inventory({
    ...tree.host,
    link: (path) => {
      if (isDenied && path.endsWith('/fd/10')) throw new SourceError('denied', path, 'EACCES');
      return tree.host.link(path);
    },
  });
  let isDenied = false;
  await failing.refresh(true);
  isDenied = true;
  await failing.refresh(false);
  assert.deepEqual(labels(failing), ['web']);
  assert.equal(failing.vms[0]?.key, before?.key);
});

test('images without a known block device are reported once for each cause, with at most three VMs', async (context) => {
  const tree = hostTree(context);
  const mounts = '21 1 0:50 / /nfs rw - nfs4 server:/export rw\n';
  for (const [i, name] of ['a', 'b', 'c', 'd', 'e'].entries()) {
    const pid = 10 + i;
    tree.process(qemu(pid, name, { fds: { 9: '/dev/kvm', 10: KVM_VM, 11: `/nfs/${name}.raw` } }));
    tree.write(`proc/${pid}/fdinfo/11`, 'pos:\t0\nflags:\t0100002\nmnt_id:\t21\n');
    tree.write(`proc/${pid}/mountinfo`, mounts);
  }
  const inventory = new Inventory(tree.host);
  await inventory.refresh(true);
  const why = '/nfs is on nfs4, which names no block device of this host';
  assert.deepEqual(inventory.limits, [`not all block devices of a, b, c and 2 more are known: ${why}`]);
  for (const pid of [13, 14]) tree.remove(`proc/${pid}`);
  await inventory.refresh(false);
  assert.deepEqual(inventory.limits, [`not all block devices of a, b, c are known: ${why}`]);
});

test('disks of a VM are read again in one of six full passes', async (context) => {
  const { tree, inventory } = await started(context, qemu(10, 'web'));
  tree.write('sys/devices/pci0/sda/dev', '8:0\n');
  tree.link('sys/block/sda', '../devices/pci0/sda');
  tree.link('proc/10/fd/11', '/dev/sda');
  tree.write('proc/10/fdinfo/11', 'pos:\t0\nflags:\t0100002\nmnt_id:\t21\n');
  let passes = 0;
  while (inventory.vms[0]?.blockDevices.length === 0 && passes < 10) {
    await inventory.refresh(true);
    passes++;
  }
  assert.deepEqual(inventory.vms[0]?.blockDevices, [{ device: 'sda', depth: 0 }]);
  assert.ok(passes >= 1 && passes <= 6, `${passes} passes`);
});
