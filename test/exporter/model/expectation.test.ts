import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectationOf, type PinningRule } from '../../../exporter/model/expectation.ts';
import { libvirtIdOf } from '../../../exporter/model/libvirt-id.ts';
import type { Role } from '../../../exporter/model/roles.ts';
import type { LibvirtPins } from '../../../probes/libvirt-domain.ts';

const VM = { name: 'web-1' };
const PINS: LibvirtPins = {
  vcpus: new Map([[0, [1]]]),
  iothreads: new Map([[2, [5]]]),
  emulator: [0],
};

function thread(label: string): { role: Role; label: string } {
  return { role: (/^[a-z]+/.exec(label)?.[0] ?? 'other') as Role, label };
}

function expected(label: string, rules: readonly PinningRule[] = []) {
  return expectationOf(thread(label), VM, rules, PINS, { cpus: [9], source: 'baseline' });
}

test('the configuration precedes libvirt, and libvirt the baseline', () => {
  const rules = [{ vm: 'web-*', thread: 'vcpu*', cpus: [3] }];
  assert.deepEqual(expected('vcpu0', rules), { cpus: [3], source: 'config' });
  assert.deepEqual(expected('vcpu0'), { cpus: [1], source: 'libvirt' });
  assert.deepEqual(expected('vcpu1'), { cpus: [9], source: 'baseline' });
  assert.equal(expectationOf(thread('vcpu1'), VM, [], PINS, undefined), undefined);
  assert.equal(expectationOf(thread('vcpu0'), VM, [], undefined, undefined), undefined);
});

test('the first of several matching rules holds', () => {
  const rule = (vm: string, name: string, cpu: number) => ({ vm, thread: name, cpus: [cpu] });
  const rules = [
    rule('db-*', '*', 1),
    rule('web-?', 'vcpu1', 2),
    rule('*', 'vcpu*', 3),
    rule('web-1', '*', 4),
  ];
  assert.deepEqual(
    ['vcpu0', 'vcpu1', 'emulator'].map((label) => expected(label, rules)?.cpus),
    [[3], [2], [4]],
  );
});

test("libvirt's pins apply to IOThreads by their number and to the emulator, and to no other thread", () => {
  assert.deepEqual(expected('iothread:iothread2')?.cpus, [5]);
  assert.deepEqual(expected('emulator')?.cpus, [0]);
  for (const label of ['iothread:2', 'iothread:io2', 'iothread:iothread3', 'vhost0', 'sqpoll0', 'monitor']) {
    assert.equal(expected(label)?.source, 'baseline', label);
  }
  assert.equal(libvirtIdOf('vhost', 'vhost0'), undefined);
  assert.equal(libvirtIdOf('vcpu', 'vcpus'), undefined);
});
