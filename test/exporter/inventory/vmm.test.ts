import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayBeVmm, vmmOf, vmmOfProgram } from '../../../exporter/inventory/vmm.ts';
import type { Vmm } from '../../../exporter/model/vmm.ts';

const PROGRAMS: Readonly<Record<Exclude<Vmm, 'other'>, readonly string[]>> = {
  qemu: [
    '/usr/bin/qemu-system-x86_64',
    'qemu-system-aarch64',
    'qemu-system-x86_64-spice',
    'qemu-system-x86_64.real',
    '/usr/libexec/qemu-kvm',
    'qemu-kvm-7.2.0',
    'qemu-kvm.bin',
    '/usr/bin/kvm',
    'kvm-spice',
    '/nix/store/abc-qemu/bin/.qemu-system-x86_64-wrapped',
    '.qemu-system-x86_64-wrapped_',
    '.qemu-system-x86_64-wrapped__',
    '.qemu-kvm',
  ],
  'cloud-hypervisor': ['/usr/bin/cloud-hypervisor', 'cloud-hypervisor-static', 'cloud-hyperviso'],
  firecracker: ['firecracker', 'firecracker-v1.7.0-x86_64'],
  crosvm: ['crosvm', 'crosvm_vcpu0'],
  kvmtool: ['lkvm', 'lkvm-static', '/usr/bin/kvmtool', 'vm'],
};

test('each VMM is known by each name of its program, wherever it is installed', () => {
  for (const [vmm, names] of Object.entries(PROGRAMS))
    for (const name of names) {
      assert.equal(vmmOfProgram(name), vmm, name);
      assert.equal(mayBeVmm(name), true, name);
    }
});

test('programs that only contain the name of a VMM are none', () => {
  const others = [
    '',
    'qemu-system-',
    'qemu-img',
    'qemu-storage-daemon',
    'qemu-x86_64-static',
    'qemu-kvm-',
    'qemu-kvm7',
    'my-qemu-system-x86_64',
    'qemu-system-x86_64 ',
    'kvm-telemetry',
    'kvmd',
    'xkvm',
    'kvm-spice2',
    'my-cloud-hypervisor',
    'a-firecracker',
    'xcrosvm',
    'vmtoolsd',
    'xvm',
    'lkvm-staticx',
    'kvmtools',
    '/usr/bin/kvm/python3',
    'wrapped-qemu-kvm',
  ];
  for (const name of others) {
    assert.equal(vmmOfProgram(name), undefined, name);
    assert.equal(mayBeVmm(name), false, name);
  }
});

test('the program decides, then the first argument, then the name of the thread', () => {
  assert.equal(vmmOf('/usr/bin/firecracker', ['crosvm'], 'lkvm'), 'firecracker');
  assert.equal(vmmOf('/usr/bin/jailer', ['/srv/crosvm'], 'lkvm'), 'crosvm');
  assert.equal(vmmOf(undefined, ['crosvm'], 'lkvm'), 'crosvm');
  assert.equal(vmmOf(undefined, [], 'lkvm'), 'kvmtool');
  assert.equal(vmmOf('/usr/bin/python3', ['python3', 'qemu-kvm'], 'python3'), 'other');
});

test('a program that the dynamic linker starts is the VMM', () => {
  const argv = ['ld.so', '--library-path', '/opt/q/lib', '/opt/q/bin/qemu-system-x86_64', '-name', 'web'];
  for (const linker of ['ld-linux-x86-64.so.2', 'ld-musl-aarch64.so.1', 'ld-2.31.so', 'ld.so'])
    assert.equal(vmmOf(`/opt/q/lib/${linker}`, argv, 'ld-linux-x86-64'), 'qemu', linker);
  assert.equal(vmmOf('/usr/bin/ld-so-tool', argv, 'ld-so-tool'), 'other');
});
