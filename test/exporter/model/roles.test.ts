import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullIothreadId, roleOf, threadLabel } from '../../../exporter/model/roles.ts';

function labelOf(comm: string, mainComm = 'qemu-system-x86', vcpu?: number): string {
  const role = roleOf(comm, mainComm, false, vcpu);
  return `${role.role} ${threadLabel(role, 0)}`;
}

test('QEMU with debug-threads=on says what each thread is', () => {
  assert.equal(labelOf('CPU 0/KVM'), 'vcpu vcpu0');
  assert.equal(labelOf('CPU 127/KVM'), 'vcpu vcpu127');
  assert.equal(labelOf('CPU 3/TCG'), 'vcpu vcpu3');
  assert.equal(labelOf('ALL CPUs/TCG'), 'vcpu vcpus');
  assert.equal(labelOf('IO io0'), 'iothread iothread:io0');
  assert.equal(labelOf('IO a b) S 1'), 'iothread iothread:a b) S 1');
  assert.equal(labelOf('IO mon_iothread'), 'monitor monitor');
  assert.equal(labelOf('worker'), 'worker worker');
  assert.equal(labelOf('call_rcu'), 'other other');
  assert.equal(labelOf('kvm-nx-lpage-re'), 'other other');
});

test('the kernel names its own threads', () => {
  assert.equal(labelOf('vhost-244'), 'vhost vhost0');
  assert.equal(labelOf('iou-sqp-9146'), 'sqpoll sqpoll0');
  assert.equal(labelOf('iou-wrk-9146'), 'io_worker io_worker');
});

test('other VMMs name their vCPUs in their own way', () => {
  assert.equal(labelOf('vcpu2', 'cloud-hyperviso'), 'vcpu vcpu2');
  assert.equal(labelOf('_disk0_q1', 'cloud-hyperviso'), 'iothread iothread:_disk0_q1');
  assert.equal(labelOf('fc_vcpu 1', 'firecracker'), 'vcpu vcpu1');
  assert.equal(labelOf('fc_api', 'firecracker'), 'other other');
  assert.equal(labelOf('crosvm_vcpu0', 'crosvm'), 'vcpu vcpu0');
  assert.equal(labelOf('kvm-vcpu-7', 'lkvm'), 'vcpu vcpu7');
});

test('without debug-threads nothing is guessed: KVM or libvirt names the vCPUs, the rest is unknown', () => {
  assert.equal(labelOf('qemu-system-x86'), 'unknown unknown');
  assert.equal(labelOf('qemu-system-x86', 'qemu-system-x86', 1), 'vcpu vcpu1');
  assert.equal(roleOf('qemu-system-x86', 'qemu-system-x86', true, undefined).role, 'emulator');
});

test('what KVM says of a thread beats the name that it gives itself', () => {
  assert.equal(labelOf('CPU 9/KVM', 'qemu-system-x86', 0), 'vcpu vcpu0');
});

test("an IOThread's name that the kernel cut is completed from the command line", () => {
  const ids = ['virtio-disk-a', 'io0', 'virtio-disk-b'];
  assert.equal(fullIothreadId('virtio-disk-', 0, ids), 'virtio-disk-a');
  assert.equal(fullIothreadId('virtio-disk-', 1, ids), 'virtio-disk-b');
  assert.equal(fullIothreadId('io0', 0, ids), 'io0');
  assert.equal(fullIothreadId('hot-plugged', 0, ids), 'hot-plugged');
});
