import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argumentFor, permitted, pinCommand } from '../../../exporter/model/observed.ts';
import { thread, vmOf } from '../../../testing/observed-vms.ts';

const UUID = '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10';

test('a thread of a VM without libvirt is pinned by its id', () => {
  const vcpu = thread('vcpu0', [0], undefined, { tid: 77 });
  assert.equal(pinCommand(vmOf([vcpu]), vcpu, [2, 3, 5]), 'taskset -pc 2-3,5 77');
});

test('libvirt pins vCPUs, its IOThreads and the emulator, and no other threads', () => {
  const command = (label: string): string | undefined => {
    const each = thread(label, [0], undefined, { tid: 77 });
    return pinCommand(vmOf([each], { domain: 'web-1' }), each, [2]);
  };
  assert.equal(command('vcpu12'), 'virsh vcpupin web-1 12 2 --live');
  assert.equal(command('iothread:iothread3'), 'virsh iothreadpin web-1 3 2 --live');
  assert.equal(command('emulator'), 'virsh emulatorpin web-1 2 --live');
  for (const label of ['iothread:io0', 'vhost0', 'vcpu0~2', 'iothread:iothread3~2'])
    assert.equal(command(label), 'taskset -pc 2 77', label);
});

test("taskset may use the CPUs of the thread's cgroup, libvirt those of the VM's", () => {
  const vcpu = thread('vcpu0', [0], undefined, { cpuset: [1, 2] });
  assert.deepEqual(permitted(vmOf([vcpu], { cpuset: [2, 3] }), vcpu), [1, 2]);
  assert.deepEqual(permitted(vmOf([vcpu], { cpuset: [2, 3], domain: 'web' }), vcpu), [2, 3]);
  assert.equal(permitted(vmOf([vcpu], { domain: 'web' }), vcpu), undefined);
  const unknown = thread('vcpu0', [0]);
  assert.deepEqual(permitted(vmOf([unknown], { cpuset: [2, 3] }), unknown), [2, 3]);
  assert.equal(permitted(vmOf([unknown]), unknown), undefined);
});

test('a name that a shell or virsh could misread is replaced by the UUID', () => {
  const argument = (domain: string): string => argumentFor({ domain, uuid: UUID });
  for (const name of ['web', 'web-1', '_a', '0', 'a.b+c_d-e']) assert.equal(argument(name), name);
  for (const name of ['-web', '--all', 'a b', 'a;b', '$x', "a'b", '', '.a', 'größe', 'a\nb'])
    assert.equal(argument(name), UUID, name);
});
