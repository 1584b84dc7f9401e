import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KickCount, VmTrace } from '../../../exporter/model/vm-trace.ts';
import { type Snapshot, snapshotOf, Window } from '../../../exporter/stage/window.ts';

const kick = (address: number, thread: string, count: number): KickCount => ({
  event: 'kvm_fast_mmio',
  address,
  thread,
  count,
});

const snapshot = (seconds: number, more: Partial<Snapshot> = {}): Snapshot => ({
  at: seconds * 1000,
  ios: seconds * 10,
  requests: undefined,
  kicks: seconds,
  interrupts: seconds * 2,
  queues: [],
  ...more,
});

test('the first snapshot tells nothing, the next ones what has grown since', () => {
  const window = new Window();
  assert.equal(window.add(snapshot(5)), undefined);
  assert.deepEqual(window.add(snapshot(15)), {
    seconds: 10,
    ios: 100,
    kicks: 10,
    interrupts: 20,
    queues: [],
  });
  assert.equal(window.add(snapshot(25))?.seconds, 20);
});

test('the window is the last minute, whatever the pace', () => {
  const window = new Window();
  const seconds = [0, 10, 20, 30, 40, 50, 60, 70, 80, 95].map((at) => window.add(snapshot(at))?.seconds);
  assert.deepEqual(seconds, [undefined, 10, 20, 30, 40, 50, 60, 60, 60, 65]);
  assert.equal(window.add(snapshot(400))?.seconds, 305);
  assert.equal(window.add(snapshot(401))?.seconds, 306);
  assert.equal(window.add(snapshot(460))?.seconds, 60);
});

test('a counter that fell, or that nobody counts, is not known; the others are', () => {
  const window = new Window();
  window.add(snapshot(0, { ios: 500, interrupts: undefined }));
  const growth = window.add(snapshot(10, { ios: 499 }));
  assert.deepEqual([growth?.ios, growth?.kicks, growth?.interrupts], [undefined, 10, undefined]);
  const gone = window.add(snapshot(20, { kicks: undefined }));
  assert.equal(gone?.kicks, undefined);
});

test('queues grow by address and thread; a new one counts whole, one that fell not at all', () => {
  const window = new Window();
  window.add(snapshot(0, { queues: [kick(1, 'vcpu0', 5), kick(1, 'vcpu1', 7), kick(2, 'vcpu0', 9)] }));
  const growth = window.add(
    snapshot(10, {
      queues: [kick(1, 'vcpu0', 8), kick(1, 'vcpu1', 7), kick(2, 'vcpu0', 1), kick(3, 'vcpu0', 4)],
    }),
  );
  assert.deepEqual(
    growth?.queues.map(({ address, thread, count }) => `${address} ${thread} ${count}`),
    ['1 vcpu0 3', '1 vcpu1 0', '2 vcpu0 0', '3 vcpu0 4'],
  );
});

test("I/Os are the disks' own, else the requests of the block devices", () => {
  const trace = {
    events: new Map([['kvm_msi_set_irq', 3]]),
    kickTotal: 4,
    kicks: [kick(1, 'vcpu0', 4)],
    blockRequests: new Map([
      [1, 10],
      [2, 20],
    ]),
  } as unknown as VmTrace;
  const { queues, ...rest } = snapshotOf(trace, 7, 99);
  assert.deepEqual(rest, { at: 99, ios: 7, requests: 30, kicks: 4, interrupts: 3 });
  assert.equal(queues.length, 1);
  assert.deepEqual(snapshotOf(undefined, undefined, 1), {
    ...{ at: 1, ios: undefined, requests: undefined, kicks: undefined, interrupts: undefined, queues: [] },
  });
  const window = new Window();
  window.add(snapshotOf(trace, undefined, 0));
  const more = { ...trace, blockRequests: new Map([[1, 45]]) } as VmTrace;
  assert.equal(window.add(snapshotOf(more, undefined, 1000))?.ios, 15);
});

test('a source that answers for the first time is no growth: its counters are as old as the VM', () => {
  const window = new Window();
  window.add(snapshot(0, { ios: undefined, requests: 10 }));
  assert.equal(window.add(snapshot(10, { ios: 1e9, requests: 60 }))?.ios, 50);
  const without = new Window();
  without.add(snapshot(0, { ios: undefined }));
  assert.equal(without.add(snapshot(10, { ios: 1e9 }))?.ios, undefined);
});
