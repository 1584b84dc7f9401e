import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ioeventfdRow, vcpuRow, vmRow } from '../../../testing/bpf-rows.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf, type TreeExporter } from '../../../testing/in-process.ts';
import { type Samples, series } from '../../../testing/metrics.ts';

const FLAGS = { 'trace.backend': 'off' };
const TDX = 5;
const KVM = 'anon_inode:kvm-vm';

/** Starts QEMU with these options. Its process has one vCPU. */
function qemu(
  tree: HostTree,
  pid: number,
  options: readonly string[],
  fds: Record<number, string> = {},
): void {
  tree.process({
    pid,
    comm: 'qemu-system-x86',
    executable: '/usr/bin/qemu-system-x86_64',
    argv: ['qemu-system-x86_64', '-name', `vm${pid},debug-threads=on`, '-accel', 'kvm', ...options],
    fds: { 9: KVM, ...fds },
    threads: [{ tid: pid + 1, comm: 'CPU 0/KVM' }],
  });
}

async function started(context: TestContext, tree: HostTree): Promise<TreeExporter> {
  const exporter = await exporterOf(context, tree, FLAGS);
  await exporter.judge();
  return exporter;
}

/** `io vhost_user`, sorted; what is visible has no reason. */
function visibility(samples: Samples, vm: string): string[] {
  return series(samples, 'kvm_vm_visibility')
    .filter((key) => key.includes(`vm="${vm}"`))
    .map((key) => `${/what="(\w+)"/.exec(key)?.[1]} ${/reason="(\w*)"/.exec(key)?.[1]}=${samples.get(key)}`)
    .sort();
}

/** Reasons for which polling, batching and queue pinning are unknown. */
function unknown(samples: Samples, vm: string): string[] {
  return series(samples, 'kvm_vm_technique_unknown_info')
    .filter((key) => key.includes(`vm="${vm}"`) && !key.includes('"affinity"'))
    .map((key) => `${/technique="(\w+)"/.exec(key)?.[1]}: ${/reason="(\w*)"/.exec(key)?.[1]}`)
    .sort();
}

const noStage = (samples: Samples, vm: string): boolean =>
  !series(samples, 'kvm_vm_stage_info').some((key) => key.includes(`vm="${vm}"`));

const ALL_UNKNOWN = (reason: string) =>
  ['exitless_polling', 'parallel_batching', 'pinned_queues'].map((technique) => `${technique}: ${reason}`);

test('a VM with a vhost-user disk has no stage, and the reason is in its verdicts', async (context) => {
  const tree = hostTree(context);
  tree.write('bpf/kvm', vmRow(40));
  // QEMU's commit that introduces vhost-user-blk.
  const disk = 'vhost-user-blk-pci,chardev=char0,num-queues=2,bootindex=2';
  qemu(tree, 40, ['-smp', '2', '-chardev', 'socket,id=char0,path=/path/vhost.socket', '-device', disk]);
  const exporter = await started(context, tree);
  const samples = await exporter.scrape();
  assert.deepEqual(visibility(samples, 'vm40'), [
    'block vhost_user=0',
    'exits =1',
    'interrupts =1',
    'io vhost_user=0',
    'kicks =1',
    'queues =1',
  ]);
  assert.deepEqual(unknown(samples, 'vm40').slice(0, 2), ALL_UNKNOWN('vhost_user').slice(0, 2));
  assert.ok(noStage(samples, 'vm40'));
  const { vms } = exporter.inventory() as { vms: { visible: object; hidden: string[] }[] };
  assert.deepEqual(vms[0]?.visible, {
    io: false,
    block: false,
    kicks: true,
    queues: true,
    interrupts: true,
    exits: true,
  });
  assert.match(vms[0]?.hidden[0] ?? '', /vhost-user: count the I\/Os there/);
});

test('an NVMe disk by VFIO is found by its descriptor, also hot-plugged, and a network device is none', async (context) => {
  const tree = hostTree(context);
  tree.write('sys/kernel/iommu_groups/12/devices/0000:01:00.0/class', '0x010802\n');
  tree.write('sys/kernel/iommu_groups/13/devices/0000:02:00.0/class', '0x020000\n');
  tree.write('bpf/kvm', Buffer.concat([vmRow(50), vmRow(60)]));
  qemu(tree, 50, ['-device', 'vfio-pci,host=01:00.0'], { 20: '/dev/vfio/vfio', 21: '/dev/vfio/12' });
  qemu(tree, 60, ['-device', 'vfio-pci,host=02:00.0'], { 20: '/dev/vfio/vfio', 21: '/dev/vfio/13' });
  const exporter = await started(context, tree);
  const samples = await exporter.scrape();
  assert.deepEqual(
    visibility(samples, 'vm50').filter((each) => each.endsWith('=0')),
    ['block vfio_disk=0', 'interrupts vfio_disk=0', 'io vfio_disk=0', 'kicks vfio_disk=0'],
  );
  assert.deepEqual(unknown(samples, 'vm50').slice(0, 2), ALL_UNKNOWN('vfio_disk').slice(0, 2));
  assert.ok(noStage(samples, 'vm50'));
  assert.deepEqual(
    visibility(samples, 'vm60').filter((each) => each.endsWith('=0')),
    ['interrupts vfio_other=0'],
  );
  tree.link('proc/60/fd/22', '/dev/vfio/12');
  // Each VM's descriptors are read in every sixth pass.
  for (let i = 0; i < 6; i++) await exporter.discover();
  assert.ok(visibility(await exporter.scrape(), 'vm60').includes('io vfio_disk=0'));
});

test('a TDX guest by KVM: its steps are not derived', async (context) => {
  const tree = hostTree(context);
  tree.write('bpf/kvm', vmRow(70, {}, undefined, { type: TDX }));
  qemu(tree, 70, ['-device', 'virtio-blk-pci,drive=d0', '-drive', 'file=/d0.img,if=none,id=d0']);
  const samples = await (await started(context, tree)).scrape();
  assert.deepEqual(
    visibility(samples, 'vm70').filter((each) => each.endsWith('=0')),
    ['exits tdx=0', 'kicks tdx=0'],
  );
});

test('whether a vCPU idles is known only with the rows of KVM', async (context) => {
  const tree = hostTree(context);
  const rows = (pid: number, guestPolls: boolean, haltsInside: boolean): Buffer[] => [
    vmRow(pid, {}, undefined, { haltsInside }),
    vcpuRow({ pid, id: 0, tid: pid + 1, guestPolls }),
  ];
  tree.write(
    'bpf/kvm',
    Buffer.concat([...rows(40, false, false), ...rows(50, true, false), ...rows(60, false, true)]),
  );
  for (const pid of [40, 50, 60]) qemu(tree, pid, []);
  const samples = await (await started(context, tree)).scrape();
  const idle = (vm: string): string[] => visibility(samples, vm).filter((each) => each.startsWith('idle'));
  assert.deepEqual(idle('vm40'), ['idle =1']);
  assert.deepEqual(idle('vm50'), ['idle guest_haltpoll=0']);
  assert.deepEqual(idle('vm60'), ['idle cpu_pm=0']);
});

test('virtio-mmio by KVM: the queues of a device have one address', async (context) => {
  const tree = hostTree(context);
  const queues = [0, 1].map((queue) => ioeventfdRow(80, 0xfeb0_0050n, false, queue));
  tree.write('bpf/kvm', Buffer.concat([...queues, vmRow(80, {}, undefined, { hasIoeventfds: true })]));
  tree.process({
    pid: 80,
    comm: 'firecracker',
    executable: '/usr/bin/firecracker',
    argv: ['firecracker', '--id', 'fc'],
    fds: { 9: KVM },
  });
  const samples = await (await started(context, tree)).scrape();
  // The devices of Firecracker are not on its command line: the rest is unknown, and not claimed.
  assert.deepEqual(visibility(samples, 'fc'), ['queues virtio_mmio=0']);
});

test('a hostile name of a descriptor is no path, and a group without devices may be a disk', async (context) => {
  const tree = hostTree(context);
  tree.write('bpf/kvm', vmRow(90));
  qemu(tree, 90, [], { 20: '/dev/vfio/../../etc', 21: '/dev/vfio/12 (deleted)', 22: '/srv/dev/vfio/12' });
  qemu(tree, 95, [], { 20: '/dev/vfio/99' });
  const samples = await (await started(context, tree)).scrape();
  assert.ok(visibility(samples, 'vm90').includes('io =1'));
  assert.ok(visibility(samples, 'vm95').includes('io vfio_disk=0'));
});
