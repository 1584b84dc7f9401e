import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupsOf, cgroupsOfVm } from '../../../exporter/model/cgroups.ts';

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

test('vCPUs in another cgroup than the main thread: `vm` is that of the vCPUs, unless it is below', () => {
  const named = (main: string, vcpu?: string): string[] =>
    cgroupsOfVm(main, vcpu).groups.map(({ group, path }) => (group === path ? path : `${group} ${path}`));
  const [overhead, pod] = ['/kata_overhead/kubepods/pod1/kata_1', '/kubepods/pod1/kata_1'];
  assert.deepEqual(named(overhead, pod).slice(0, 4), [`vm ${pod}`, '/kubepods/pod1', '/kubepods', overhead]);
  assert.deepEqual(named(overhead).at(0), `vm ${overhead}`);
  assert.deepEqual(named('/', pod).at(0), `vm ${pod}`);
  assert.deepEqual(named('/fc/1', '/fc/1/vcpus'), ['/fc/1/vcpus', 'vm /fc/1', '/fc']);
  for (const [main, vcpu] of [
    ['/machine.slice/m.scope/libvirt/emulator', '/machine.slice/m.scope/libvirt/vcpu0'],
    ['/kubepods/pod1/cri-1.scope/housekeeping', '/kubepods/pod1/cri-1.scope'],
    ['/qemu.slice/100.scope', '/qemu.slice/100.scope'],
  ] as const)
    assert.deepEqual(cgroupsOfVm(main, vcpu), cgroupsOf(main), main);
});
