import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BpfIterator } from '../../../probes/bpf/iterator.ts';
import {
  APICV_INHIBIT_REASONS,
  parseKvmRows,
  VCPU_STATISTICS,
  VM_STATISTICS,
} from '../../../probes/bpf/kvm-rows.ts';
import { openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { heldBy, isInKernel } from '../../../testing/bpf-held.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { qmpCommand } from '../../../testing/guest-with-monitor.ts';
import { canRunKickingGuests, kickingGuest } from '../../../testing/kicking-guest.ts';
import { fakeLibbpf } from '../../../testing/libbpf.ts';
import { buildTinyVm, canRunTinyVms, startTinyVm } from '../../../testing/tiny-vm.ts';
import { has, hasTool } from '../../../testing/tools.ts';
import { statisticsOfRow } from '../../../testing/vcpu-table.ts';

test('a load that fails names the cause and frees the object', () => {
  for (const part of [{ load: () => -1 }, { attachIterator: () => null }, { findProgram: () => null }]) {
    const libbpf = fakeLibbpf(part);
    assert.throws(() => BpfIterator.load(libbpf, 'threads'), { kind: 'denied', reason: 'EPERM' });
    assert.deepEqual(libbpf.closed, ['object']);
  }
  assert.throws(() => BpfIterator.load(fakeLibbpf({ open: () => null }), 'kvm'), { kind: 'denied' });
});

test("where the object with the module's types cannot be loaded, the one without them is", () => {
  const files: string[] = [];
  const libbpf = fakeLibbpf({
    open: (file) => files.push(file.slice(file.lastIndexOf('/') + 1)),
    load: (object) => (object === 1 ? -1 : 0),
  });
  const iterator = BpfIterator.load(libbpf, 'kvm');
  assert.equal(iterator.read().length, 0);
  assert.deepEqual([iterator.object, iterator.lacks?.message], ['kvm', 'BPF object kvm-module: EPERM']);
  assert.deepEqual(files, ['kvm-module.bpf.o', 'kvm.bpf.o']);
  assert.deepEqual(libbpf.closed, ['1']);
});

test('an iterator without rows gives none, and closing frees link and object', () => {
  const libbpf = fakeLibbpf();
  const iterator = BpfIterator.load(libbpf, 'kvm');
  assert.equal(iterator.read().length, 0);
  assert.deepEqual([iterator.object, iterator.lacks], ['kvm-module', undefined]);
  iterator.close();
  assert.deepEqual(libbpf.closed, ['link', 'object']);
});

test('an iterator that the kernel does not create is an error', () => {
  const iterator = BpfIterator.load(fakeLibbpf({ createIterator: () => -1, errno: () => 'EMFILE' }), 'kvm');
  assert.throws(() => iterator.read(), { kind: 'exhausted' });
});

function canLoad(context: TestContext): boolean {
  try {
    BpfIterator.load(openLibbpf(), 'kvm').close();
    return true;
  } catch (error) {
    return has(context, false, `BPF cannot be used here: ${String(error)}`);
  }
}

test('the kernel itself gives the vCPUs of a VM, with every statistic that its types have', async (context) => {
  if (!canLoad(context) || !canRunTinyVms(context) || !hasTool(context, 'bpftool', 'bpftool')) return;
  const vm = await startTinyVm(context, buildTinyVm(context), 60_000);
  const iterator = BpfIterator.load(openLibbpf(), 'kvm');
  context.after(() => iterator.close());
  const rows = parseKvmRows(iterator.read(), 'kernel');
  const [row] = rows.vcpus.filter(({ pid }) => pid === vm.pid);
  assert.equal(row?.id, 0);
  assert.equal(rows.vms.filter(({ pid }) => pid === vm.pid).length, 1);
  const types = execFileSync('bpftool', ['btf', 'dump', 'file', '/sys/kernel/btf/vmlinux', 'format', 'c'], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const fieldsOf = (struct: string): string[] => {
    const [, body = ''] = new RegExp(`^struct ${struct} \\{\\n([^}]*)\\n\\}`, 'm').exec(types) ?? [];
    return Array.from(body.matchAll(/\tu64 (\w+);/g), ([, name = '']) => name);
  };
  const vcpu = [...fieldsOf('kvm_vcpu_stat'), ...fieldsOf('kvm_vcpu_stat_generic')];
  assert.deepEqual([...statisticsOfRow(row).keys()].sort(), vcpu.sort());
  assert.deepEqual(
    vcpu.filter((name) => !VCPU_STATISTICS.some((known) => known === name)),
    [],
    'a statistic of this kernel is not in the list',
  );
  const ofVm = [...fieldsOf('kvm_vm_stat'), ...fieldsOf('kvm_vm_stat_generic')];
  assert.deepEqual(
    ofVm.filter((name) => !VM_STATISTICS.some((known) => known === name)),
    [],
  );
  const reasons = Array.from(types.matchAll(/\tAPICV_INHIBIT_REASON_(\w+) = /g), ([, name = '']) =>
    name.toLowerCase(),
  );
  assert.deepEqual(
    reasons.filter((name) => !APICV_INHIBIT_REASONS.some((known) => known === name)),
    [],
    'a reason of this kernel is not in the list',
  );
});

test('the kernel has where the queues of a disk are notified, as QEMU says, used or not', async (context) => {
  if (!canLoad(context) || !canRunKickingGuests(context)) return;
  const { pid, monitor } = await kickingGuest(context, 'kt-notify', 1);
  const iterator = BpfIterator.load(openLibbpf(), 'kvm');
  context.after(() => iterator.close());
  const vm = parseKvmRows(iterator.read(), 'kernel').vms.find((each) => each.pid === pid);
  const [bus] = (await qmpCommand(monitor, { execute: 'query-pci' })) as {
    devices: { qdev_id: string; regions: { type: string; address: number }[] }[];
  }[];
  const disk = bus?.devices.find(({ qdev_id }) => qdev_id === 'vda');
  const ports = disk?.regions.find(({ type }) => type === 'io')?.address ?? 0;
  const path = '/machine/peripheral/vda';
  const queues = await qmpCommand(monitor, {
    execute: 'qom-get',
    arguments: { path, property: 'num-queues' },
  });
  // VIRTIO_PCI_QUEUE_NOTIFY, include/uapi/linux/virtio_pci.h
  assert.deepEqual(
    vm?.notifyAddresses?.filter(({ isPort }) => isPort),
    [{ address: ports + 16, isPort: true, queues }],
  );
});

test('a process that is killed leaves nothing in the kernel', async (context) => {
  if (!canLoad(context) || !hasTool(context, 'bpftool', 'bpftool')) return;
  const program = `
    const { openLibbpf } = await import('${ROOT}dist/probes/bpf/libbpf.js');
    const { BpfIterator } = await import('${ROOT}dist/probes/bpf/iterator.js');
    globalThis.iterator = BpfIterator.load(openLibbpf(), 'kvm');
    console.log('loaded');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  const held = heldBy(child.pid);
  assert.ok(held.length > 0 && held.every(isInKernel), 'loaded');
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
  // The kernel frees a program after a grace period.
  for (let i = 0; i < 100 && held.some(isInKernel); i++) await sleep(100);
  assert.deepEqual(held.filter(isInKernel), []);
});
