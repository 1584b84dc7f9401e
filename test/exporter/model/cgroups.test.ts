import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupsOf } from '../../../exporter/model/cgroups.ts';

test('cgroups of a VM by manager, innermost first', () => {
  const named = (path: string): string[] =>
    cgroupsOf(path).groups.map(({ group, path: at }) => `${group} ${at}`);
  assert.deepEqual(named('/machine.slice/m.scope/libvirt/emulator'), [
    'libvirt /machine.slice/m.scope/libvirt',
    'vm /machine.slice/m.scope',
    '/machine.slice /machine.slice',
  ]);
  assert.deepEqual(named('/machine/qemu-1-web.libvirt-qemu/emulator'), [
    'vm /machine/qemu-1-web.libvirt-qemu',
    '/machine /machine',
  ]);
  assert.deepEqual(named('/qemu.slice/100.scope'), ['vm /qemu.slice/100.scope', '/qemu.slice /qemu.slice']);
  const [pods, pod, scope] = ['/kubepods.slice', '/kubepods-pod1.slice', '/cri-containerd-1.scope'];
  const above = [`${pods}${pod} ${pods}${pod}`, `${pods} ${pods}`];
  assert.deepEqual(named(`${pods}${pod}${scope}`), [`vm ${pods}${pod}${scope}`, ...above], 'KubeVirt');
  assert.deepEqual(
    named(`${pods}${pod}${scope}/housekeeping`),
    [`housekeeping ${pods}${pod}${scope}/housekeeping`, `vm ${pods}${pod}${scope}`, ...above],
    'KubeVirt with isolateEmulatorThread',
  );
  assert.deepEqual(named('/housekeeping'), ['vm /housekeeping']);
  assert.deepEqual(named('/'), []);
  assert.deepEqual(named('/emulator'), ['vm /emulator'], 'without a cgroup above it is no part of a VM');
});

test('parts are in the folder of the cgroup that libvirt gives to the main thread', () => {
  assert.equal(cgroupsOf('/machine.slice/m.scope/libvirt/emulator').parts, '/machine.slice/m.scope/libvirt');
  assert.equal(cgroupsOf('/machine/q/vcpu3').parts, '/machine/q');
  assert.equal(cgroupsOf('/qemu.slice/100.scope').parts, undefined);
});
