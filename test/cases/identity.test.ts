import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Inventory } from '../../exporter/inventory/inventory.ts';
import type { Vm } from '../../exporter/model/vm.ts';
import { caseText } from '../../testing/cases.ts';
import { type FakeProcess, type HostTree, hostTree } from '../../testing/host-tree.ts';

/** The command line of a case. */
function argvOf(name: string, file = 'cmdline-one-argument-a-line.txt'): string[] {
  return caseText(name, file).trimEnd().split('\n');
}

function vmm(pid: number, argv: readonly string[], more: Partial<FakeProcess> = {}): FakeProcess {
  const executable = argv[0] ?? '';
  const comm = (executable.split('/').at(-1) ?? '').slice(0, 15);
  return { pid, comm, executable, argv, fds: { 10: 'anon_inode:kvm-vm' }, ...more };
}

async function vmsOf(
  context: TestContext,
  processes: readonly FakeProcess[],
  prepare: (tree: HostTree) => void = () => undefined,
): Promise<{ inventory: Inventory; vms: Vm[] }> {
  const tree = hostTree(context);
  for (const process of processes) tree.process(process);
  prepare(tree);
  const inventory = new Inventory(tree.host);
  await inventory.refresh(true);
  return { inventory, vms: inventory.vms };
}

test('case lxd-readconfig: the file identifies the VM and its project', async (context) => {
  const processes = [
    vmm(1300, argvOf('lxd-readconfig'), { startTime: 5 }),
    vmm(1301, argvOf('lxd-readconfig', 'cmdline-other-project.txt'), { startTime: 9 }),
  ];
  const { vms, inventory } = await vmsOf(context, processes, (tree) => {
    tree.write(
      'proc/1300/root/var/snap/lxd/common/lxd/logs/v1/qemu.conf',
      caseText('lxd-readconfig', 'qemu.conf'),
    );
  });
  const [other, v1] = vms;
  assert.equal(v1?.label, 'v1');
  assert.equal(v1?.machine, 'q35');
  assert.equal(v1?.accel, 'kvm');
  assert.deepEqual(v1?.monitors, ['/var/snap/lxd/common/lxd/logs/v1/qemu.monitor']);
  assert.deepEqual(
    v1?.devices?.storage.map(({ id, kind }) => `${kind} ${id}`),
    ['virtio-scsi qemu_scsi'],
  );
  // The other one's file cannot be read: its devices are unknown, and doctor prints the reason.
  assert.equal(other?.label, 'blue_v1');
  assert.equal(other?.devices, undefined);
  assert.deepEqual(inventory.limits, [
    'the devices of blue_v1 are not known: -readconfig /var/snap/lxd/common/lxd/logs/blue_v1/qemu.conf: ENOENT',
  ]);
});

test('case proxmox-uuid-in-smbios: the UUID comes from -smbios', async (context) => {
  const { vms } = await vmsOf(context, [vmm(101, argvOf('proxmox-uuid-in-smbios'))]);
  assert.equal(vms[0]?.uuid, '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0');
  assert.equal(vms[0]?.vmid, 101);
  assert.deepEqual(
    vms[0]?.devices?.storage.map(({ id, iothread, drives }) => [id, iothread, drives]),
    [
      ['virtioscsi0', 'iothread-virtioscsi0', [{ node: 'drive-scsi0', direct: true, aio: 'io_uring' }]],
      ['virtioscsi1', 'iothread-virtioscsi1', [{ node: 'drive-scsi1', direct: true, aio: 'io_uring' }]],
    ],
  );
});

test('case cloud-hypervisor-disk-id: disks name the I/O threads, and the socket identifies the VM', async (context) => {
  const [, ...names] = caseText('cloud-hypervisor-disk-id', 'threads.txt').trimEnd().split('\n');
  const threads = names.map((comm, i) => ({ tid: 1802 + i, comm }));
  const { inventory, vms } = await vmsOf(context, [
    vmm(1801, argvOf('cloud-hypervisor-disk-id'), { threads }),
  ]);
  assert.equal(vms[0]?.label, '/run/vmm/web7/ch.sock');
  const labels = inventory.observeThreads(vms[0] as Vm).map(({ thread }) => thread.label);
  assert.deepEqual(labels, [
    'emulator',
    'other',
    'other',
    'iothread:rootdisk_q0',
    'iothread:rootdisk_q1',
    'iothread:_disk1_q0',
    'vcpu0',
    'vcpu1',
    'other',
  ]);
});

test('case kvmtool-n-is-network: -n is not a name', async (context) => {
  const { vms } = await vmsOf(context, [vmm(10, argvOf('kvmtool-n-is-network'))]);
  assert.equal(vms[0]?.label, 'ktest');
});
