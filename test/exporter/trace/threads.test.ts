import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vm, VmThread } from '../../../exporter/model/vm.ts';
import { TracedThreads } from '../../../exporter/trace/threads.ts';

const vm = (key: string): Vm => ({ key, label: key }) as Vm;
const thread = (
  tid: number,
  label = 'vcpu0',
  startTime = 1000,
  role: VmThread['role'] = 'vcpu',
): VmThread => ({
  tid,
  startTime,
  label,
  comm: '',
  role,
  path: '',
});
const [WEB, DB] = [vm('10:1'), vm('20:1')];

function setUp() {
  let inventory: readonly (readonly [Vm, ...VmThread[]])[] = [];
  const threads = new TracedThreads({
    get vms() {
      return inventory.map(([each]) => each);
    },
    threadsOf: (each) => inventory.find(([known]) => known === each)?.slice(1) as VmThread[],
  });
  return {
    threads,
    update(...vms: typeof inventory) {
      inventory = vms;
      threads.update();
    },
  };
}

test('a thread belongs to its VM, with its label and its start time in seconds', () => {
  const { threads, update } = setUp();
  update([WEB, thread(11), thread(12, 'vhost0', 1234)], [DB, thread(21)]);
  assert.deepEqual(threads.ownerOf(12), { vm: '10:1', thread: 'vhost0', startTime: 12.34 });
  assert.equal(threads.ownerOf(21)?.vm, '20:1');
  assert.equal(threads.ownerOf(13), undefined);
});

test('a thread keeps its owner object; another thread with the same id gets its own', () => {
  const { threads, update } = setUp();
  const first = thread(11);
  update([WEB, first]);
  const owner = threads.ownerOf(11);
  update([WEB, first]);
  assert.equal(threads.ownerOf(11), owner);
  update([WEB, thread(11, 'vcpu0', 2000)]);
  assert.notEqual(threads.ownerOf(11), owner);
  assert.equal(threads.ownerOf(11)?.startTime, 20);
});

test('a thread that moves to another VM belongs to that VM', () => {
  const { threads, update } = setUp();
  const shared = thread(11);
  update([WEB, shared], [DB]);
  update([WEB], [DB, shared]);
  assert.equal(threads.ownerOf(11)?.vm, '20:1');
});

test('a thread that ended stays known while its VM lives', () => {
  const { threads, update } = setUp();
  update([WEB, thread(11)], [DB, thread(21)]);
  update([WEB], [DB, thread(21)]);
  assert.equal(threads.ownerOf(11)?.vm, '10:1');
  update([DB, thread(21)]);
  assert.equal(threads.ownerOf(11), undefined);
  assert.equal(threads.ownerOf(21)?.vm, '20:1');
});

test('perf follows vCPUs; filters also name the other threads on the I/O path', () => {
  const { threads, update } = setUp();
  const iothread = thread(12, 'iothread:io0', 1000, 'iothread');
  update([WEB, thread(11), iothread, thread(10, 'emulator', 1000, 'emulator')], [DB, thread(21)]);
  assert.deepEqual(threads.vcpus, [
    { key: '10:1', tids: [11] },
    { key: '20:1', tids: [21] },
  ]);
  assert.deepEqual(threads.onIoPath, [11, 12, 21]);
});
