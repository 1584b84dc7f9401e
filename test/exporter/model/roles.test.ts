import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roleOf, threadLabel, type VmFacts } from '../../../exporter/model/roles.ts';

const QEMU: VmFacts = { vmm: 'qemu', accel: 'kvm', diskIds: [] };
const TCG: VmFacts = { ...QEMU, accel: 'tcg' };

function labelOf(
  comm: string,
  vm: VmFacts = QEMU,
  more: { vcpu?: number; kvmVcpu?: number; isMain?: boolean } = {},
): string {
  const { vcpu, kvmVcpu, isMain = false } = more;
  const role = roleOf({ comm, mainComm: 'qemu-system-x86', isMain, vcpu, kvmVcpu }, vm);
  return `${role.role} ${threadLabel(role, 0)}`;
}

test('QEMU with debug-threads=on names each thread', () => {
  assert.equal(labelOf('CPU 0/KVM'), 'vcpu vcpu0');
  assert.equal(labelOf('CPU 127/KVM'), 'vcpu vcpu127');
  assert.equal(labelOf('IO io0'), 'iothread iothread:io0');
  assert.equal(labelOf('IO a b) S 1'), 'iothread iothread:a b) S 1');
  assert.equal(labelOf('IO mon_iothread'), 'monitor monitor');
  assert.equal(labelOf('worker'), 'worker worker');
  assert.equal(labelOf('call_rcu'), 'other other');
  assert.equal(labelOf('kvm-nx-lpage-re'), 'other other');
});

test('a thread that runs a vCPU is one whatever its name, and a name with an index precedes the APIC id', () => {
  assert.equal(labelOf('qemu-system-x86', QEMU, { kvmVcpu: 1 }), 'vcpu vcpu1');
  assert.equal(labelOf('IO io0', QEMU, { kvmVcpu: 1 }), 'vcpu vcpu1');
  assert.equal(labelOf('main', { ...QEMU, vmm: 'other' }, { kvmVcpu: 0, isMain: true }), 'vcpu vcpu0');
  assert.equal(labelOf('CPU 3/KVM', QEMU, { kvmVcpu: 4 }), 'vcpu vcpu3');
  assert.equal(labelOf('CPU 3/KVM', QEMU, { kvmVcpu: 4, vcpu: 5 }), 'vcpu vcpu5');
});

test('an emulated vCPU and a vCPU of KVM have different names', () => {
  assert.equal(labelOf('CPU 3/TCG', TCG), 'vcpu vcpu3');
  assert.equal(labelOf('ALL CPUs/TCG', TCG), 'vcpu vcpus');
  assert.equal(labelOf('IO io0', TCG), 'iothread iothread:io0');
  assert.equal(labelOf('CPU 0/KVM', TCG), 'other other');
  assert.equal(labelOf('CPU 0/TCG'), 'other other');
});

test('the kernel names its own threads', () => {
  assert.equal(labelOf('vhost-244'), 'vhost vhost0');
  assert.equal(labelOf('iou-sqp-9146'), 'sqpoll sqpoll0');
  assert.equal(labelOf('iou-wrk-9146', TCG), 'io_worker io_worker');
});

test('each VMM has its own thread names', () => {
  const of = (vmm: VmFacts['vmm'], comm: string) => labelOf(comm, { ...QEMU, vmm });
  assert.equal(of('cloud-hypervisor', 'vcpu2'), 'vcpu vcpu2');
  assert.equal(of('cloud-hypervisor', '_disk0_q1'), 'iothread iothread:_disk0_q1');
  assert.equal(of('cloud-hypervisor', '_net2_qp0'), 'other other');
  assert.equal(of('firecracker', 'fc_vcpu 1'), 'vcpu vcpu1');
  assert.equal(of('firecracker', 'fc_api'), 'other other');
  assert.equal(of('crosvm', 'crosvm_vcpu0'), 'vcpu vcpu0');
  assert.equal(of('kvmtool', 'kvm-vcpu-7'), 'vcpu vcpu7');
  assert.equal(of('kvmtool', 'virtio-blk-io'), 'iothread iothread:virtio-blk-io');
  assert.equal(of('crosvm', 'virtio_blk'), 'iothread iothread:virtio_blk');
  assert.equal(of('other', 'block worker'), 'iothread iothread:block worker', 'libkrun');
  assert.equal(of('other', 'fs worker'), 'other other');
});

test('an unknown VMM may use any of these names, a known one only its own', () => {
  const other: VmFacts = { ...QEMU, vmm: 'other' };
  const names = ['db_vcpu3', 'EMT-3', 'CPU 3/KVM', 'fc_vcpu 3', 'vcpu3', 'crosvm_vcpu3', 'kvm-vcpu-3'];
  for (const name of names) assert.equal(labelOf(name, other), 'vcpu vcpu3', name);
  assert.equal(labelOf('IO iothread1', other), 'iothread iothread:iothread1');
  for (const name of names.filter((each) => !each.startsWith('CPU'))) {
    assert.equal(labelOf(name), 'other other', name);
  }
  assert.equal(labelOf('CPU 3/KVM', { ...QEMU, vmm: 'firecracker' }), 'other other');
});

test('only a complete name identifies a role, because a tenant may choose a similar name', () => {
  const names: [VmFacts, string, string][] = [
    [QEMU, 'CPU 31/KVM', 'vcpu vcpu31'],
    [QEMU, 'IO mon_iothread', 'monitor monitor'],
    [QEMU, 'worker', 'worker worker'],
    [QEMU, 'vhost-1234', 'vhost vhost0'],
    [QEMU, 'iou-sqp-1234', 'sqpoll sqpoll0'],
    [QEMU, 'iou-wrk-1234', 'io_worker io_worker'],
    [TCG, 'CPU 31/TCG', 'vcpu vcpu31'],
    [TCG, 'ALL CPUs/TCG', 'vcpu vcpus'],
    [{ ...QEMU, vmm: 'cloud-hypervisor' }, 'vcpu31', 'vcpu vcpu31'],
    [{ ...QEMU, vmm: 'cloud-hypervisor' }, '_disk10_q31', 'iothread iothread:_disk10_q31'],
    [{ ...QEMU, vmm: 'firecracker' }, 'fc_vcpu 31', 'vcpu vcpu31'],
    [{ ...QEMU, vmm: 'crosvm' }, 'crosvm_vcpu31', 'vcpu vcpu31'],
    [{ ...QEMU, vmm: 'kvmtool' }, 'kvm-vcpu-31', 'vcpu vcpu31'],
    [{ ...QEMU, vmm: 'kvmtool' }, 'virtio-blk-io', 'iothread iothread:virtio-blk-io'],
    [{ ...QEMU, vmm: 'other' }, 'db_vcpu31', 'vcpu vcpu31'],
  ];
  for (const [vm, name, label] of names) {
    assert.equal(labelOf(name, vm), label);
    assert.equal(labelOf(`x${name}`, vm), 'other other', `x${name}`);
    const longer = `${name}x`;
    assert.equal(
      labelOf(longer, vm),
      longer === 'IO mon_iothreadx' ? 'iothread iothread:mon_iothreadx' : 'other other',
    );
  }
});

test('the queue threads of a Cloud Hypervisor disk with an id are I/O threads', () => {
  const vm: VmFacts = { ...QEMU, vmm: 'cloud-hypervisor', diskIds: ['rootdisk', 'a-very-long-disk'] };
  assert.equal(labelOf('rootdisk_q0', vm), 'iothread iothread:rootdisk_q0');
  assert.equal(labelOf('rootdisk_q12', vm), 'iothread iothread:rootdisk_q12');
  assert.equal(labelOf('a-very-long-dis', vm), 'iothread iothread:a-very-long-dis');
  for (const name of [
    'rootdisk',
    'rootdisk_qp0',
    'rootdisk_q',
    'root_q0',
    'rootdisk_q0x',
    'share_q0',
    'a-very',
  ])
    assert.equal(labelOf(name, vm), 'other other', name);
});

test('without debug-threads nothing is guessed: KVM or libvirt identifies the vCPUs, other roles are unknown', () => {
  assert.equal(labelOf('qemu-system-x86'), 'unknown unknown');
  assert.equal(labelOf('qemu-system-x86', QEMU, { vcpu: 1 }), 'vcpu vcpu1');
});

test('the first thread is the emulator, whatever name its user gave the process', () => {
  for (const comm of ['qemu-system-x86', 'CPU 0/KVM', 'IO io0', 'worker', 'vhost-1']) {
    assert.equal(labelOf(comm, QEMU, { isMain: true }), 'emulator emulator', comm);
  }
  // A small VMM may run its only vCPU there.
  assert.equal(labelOf('tiny', QEMU, { isMain: true, vcpu: 0 }), 'vcpu vcpu0');
});

test("KVM's role of a thread takes precedence over the thread's name", () => {
  assert.equal(labelOf('CPU 9/KVM', QEMU, { vcpu: 0 }), 'vcpu vcpu0');
});
