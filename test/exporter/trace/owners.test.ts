import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vm, VmThread } from '../../../exporter/model/vm.ts';
import { Owners } from '../../../exporter/trace/owners.ts';

const vm = (key: string): Vm => ({ key, label: key }) as Vm;
const thread = (tid: number, label = 'vcpu0', startTime = 1000): VmThread => ({
  ...{ tid, startTime, label, comm: '', role: 'vcpu', path: '' },
});
const [WEB, DB] = [vm('10:1'), vm('20:1')];

function follow(owners: Owners, ...vms: readonly (readonly [Vm, ...VmThread[]])[]): void {
  const threads = new Map(vms.map(([each, ...its]) => [each, its]));
  owners.update([...threads.keys()], (each) => threads.get(each) ?? []);
}

test('a thread belongs to its VM, under its label and since its start in seconds', () => {
  const owners = new Owners();
  follow(owners, [WEB, thread(11), thread(12, 'vhost0', 1234)], [DB, thread(21)]);
  assert.deepEqual(owners.of(12), { vm: '10:1', thread: 'vhost0', startTime: 12.34 });
  assert.equal(owners.of(21)?.vm, '20:1');
  assert.equal(owners.of(13), undefined);
});

test('the same thread keeps its owner object, another one with its id has its own', () => {
  const owners = new Owners();
  const first = thread(11);
  follow(owners, [WEB, first]);
  const owner = owners.of(11);
  follow(owners, [WEB, first]);
  assert.equal(owners.of(11), owner);
  follow(owners, [WEB, thread(11, 'vcpu0', 2000)]);
  assert.notEqual(owners.of(11), owner);
  assert.equal(owners.of(11)?.startTime, 20);
});

test('a thread that was taken over by another VM is that one’s', () => {
  const owners = new Owners();
  const shared = thread(11);
  follow(owners, [WEB, shared], [DB]);
  follow(owners, [WEB], [DB, shared]);
  assert.equal(owners.of(11)?.vm, '20:1');
});

test('a thread that ended stays known while its VM lives', () => {
  const owners = new Owners();
  follow(owners, [WEB, thread(11)], [DB, thread(21)]);
  follow(owners, [WEB], [DB, thread(21)]);
  assert.equal(owners.of(11)?.vm, '10:1');
  follow(owners, [DB, thread(21)]);
  assert.equal(owners.of(11), undefined);
  assert.equal(owners.of(21)?.vm, '20:1');
});
