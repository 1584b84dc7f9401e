import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Moment } from '../../../../exporter/assessment/stage/moment.ts';
import { Window } from '../../../../exporter/assessment/stage/window.ts';
import type { KickCount, VmTrace } from '../../../../exporter/model/vm-trace.ts';
import { NOTHING_TRACED } from '../../../../testing/vm-trace.ts';

const kick = (address: number, thread: string, count: number): KickCount => ({
  event: 'kvm_fast_mmio',
  address,
  thread,
  count,
});

interface Counts {
  readonly ios?: number | undefined;
  readonly requests?: number;
  readonly kicks?: number | undefined;
  readonly interrupts?: number | undefined;
  readonly queues?: readonly KickCount[];
}

/** A moment of a VM that does ten I/Os with a kick and two interrupts each second. */
function moment(seconds: number, more: Counts = {}): Moment {
  const counts = { ios: seconds * 10, kicks: seconds, interrupts: seconds * 2, ...more };
  const trace: VmTrace = {
    ...NOTHING_TRACED,
    kickTotal: counts.kicks,
    kicks: counts.queues,
    events: new Map(counts.interrupts === undefined ? [] : [['kvm_msi_set_irq', counts.interrupts]]),
    blockRequests:
      counts.requests === undefined
        ? undefined
        : new Map([
            [1, counts.requests - 1],
            [2, 1],
          ]),
  };
  return { at: seconds * 1000, ios: counts.ios, trace, skewMs: 0 };
}

test('the first sample has no growth, later ones do', () => {
  const window = new Window();
  assert.equal(window.add(moment(5)), undefined);
  assert.deepEqual(window.add(moment(15)), {
    seconds: 10,
    weight: 1,
    windows: undefined,
    ios: 100,
    isEstimate: false,
    kicks: 10,
    deviceExits: undefined,
    interrupts: 20,
    queues: [],
    hasQueues: false,
    skew: 0,
    isSteady: false,
  });
  assert.equal(window.add(moment(25))?.seconds, 20);
});

test('a minute is steady if no part of it is much slower than another', () => {
  const steadiness = (iosAt: (second: number) => number | undefined, seconds = 60): unknown => {
    const window = new Window();
    for (let at = 0; at < seconds; at += 10) window.add(moment(at, { ios: iosAt(at) }));
    return window.add(moment(seconds, { ios: iosAt(seconds) }))?.isSteady;
  };
  assert.equal(
    steadiness((at) => at * 1000),
    true,
  );
  assert.equal(
    steadiness((at) => at * 1000, 50),
    false,
    'less than a minute is known',
  );
  assert.equal(
    steadiness((at) => at * 1000 + (at > 30 ? 4999 : 0)),
    true,
  );
  assert.equal(
    steadiness((at) => at * 1000 + (at > 30 ? 5001 : 0)),
    false,
    'ten seconds were 1.5 times as fast',
  );
  assert.equal(
    steadiness((at) => Math.min(at, 40) * 1000),
    false,
    'it paused',
  );
  assert.equal(
    steadiness(() => undefined),
    false,
  );
  assert.equal(
    steadiness(() => 7),
    false,
    'it did nothing',
  );
});

test('the growth is as uncertain as its least certain part', () => {
  const window = new Window();
  window.add(moment(0));
  window.add({ ...moment(10), weight: 16 });
  assert.equal(window.add({ ...moment(20), weight: 2 })?.weight, 16);
});

test('the window is the last minute, for any interval of the moments', () => {
  const window = new Window();
  const seconds = [0, 10, 20, 30, 40, 50, 60, 70, 80, 95].map((at) => window.add(moment(at))?.seconds);
  assert.deepEqual(seconds, [undefined, 10, 20, 30, 40, 50, 60, 60, 60, 65]);
  assert.equal(window.add(moment(400))?.seconds, 305);
  assert.equal(window.add(moment(401))?.seconds, 306);
  assert.equal(window.add(moment(460))?.seconds, 60);
});

test('a missing counter is unknown; the others are known', () => {
  const window = new Window();
  window.add(moment(0, { interrupts: undefined }));
  const growth = window.add(moment(10));
  assert.deepEqual([growth?.ios, growth?.kicks, growth?.interrupts], [100, 10, undefined]);
  assert.equal(window.add(moment(20, { kicks: undefined }))?.kicks, undefined);
  assert.equal(window.add({ at: 30_000, ios: 300, trace: undefined, skewMs: 0 }), undefined);
});

test('after I/Os fell (a VM reset, an unplugged disk), earlier moments are not compared', () => {
  const window = new Window();
  window.add(moment(0, { ios: 500 }));
  assert.equal(window.add(moment(10, { ios: 0 })), undefined);
  const growth = window.add(moment(20, { ios: 600 }));
  assert.deepEqual([growth?.ios, growth?.kicks, growth?.seconds], [600, 10, 10]);
});

test('I/Os and kicks are from the same two moments, even if a monitor misses some moments', () => {
  const window = new Window();
  window.add(moment(0, { ios: undefined }));
  assert.equal(window.add(moment(10, { ios: undefined }))?.ios, undefined);
  assert.equal(window.add(moment(20))?.ios, undefined);
  assert.equal(window.add(moment(30, { ios: undefined }))?.ios, undefined);
  const growth = window.add(moment(40));
  assert.deepEqual([growth?.ios, growth?.kicks, growth?.seconds], [200, 20, 20]);
});

test('queues grow by address and thread; a new one counts in full, one that fell is unknown', () => {
  const window = new Window();
  window.add(moment(0, { queues: [kick(1, 'vcpu0', 5), kick(1, 'vcpu1', 7), kick(2, 'vcpu0', 9)] }));
  const growth = window.add(
    moment(10, {
      queues: [kick(1, 'vcpu0', 8), kick(1, 'vcpu1', 7), kick(2, 'vcpu0', 1), kick(3, 'vcpu0', 4)],
    }),
  );
  assert.deepEqual(
    growth?.queues.map(({ address, thread, count }) => `${address} ${thread} ${count}`),
    ['1 vcpu0 3', '1 vcpu1 0', '2 vcpu0 0', '3 vcpu0 4'],
  );
});

test("I/Os are the disks' own, else the requests of the block devices", () => {
  const window = new Window();
  window.add(moment(0, { ios: undefined, requests: 30 }));
  assert.equal(window.add(moment(10, { ios: undefined, requests: 45 }))?.ios, 15);
  const both = new Window();
  both.add(moment(0, { ios: 7, requests: 30 }));
  assert.equal(both.add(moment(10, { ios: 9, requests: 45 }))?.ios, 2);
});

test('the first response of a source is no growth: its counters are as old as the VM', () => {
  const window = new Window();
  window.add(moment(0, { ios: undefined, requests: 10 }));
  assert.equal(window.add(moment(10, { ios: 1e9, requests: 60 }))?.ios, 50);
  const without = new Window();
  without.add(moment(0, { ios: undefined }));
  assert.equal(without.add(moment(10, { ios: 1e9 }))?.ios, undefined);
});

test('the latest period is the shortest with enough I/Os, else the last minute', () => {
  const window = new Window();
  for (let seconds = 0; seconds <= 60; seconds += 10) window.add(moment(seconds));
  const seconds = [1, 100, 101, 350, 600, 100_000].map((least) => window.latest(least)?.seconds);
  assert.deepEqual(seconds, [10, 10, 20, 40, 60, 60]);
});

test('the latest period has enough windows with counted events, and windows make its counts less exact', () => {
  const window = new Window();
  for (let seconds = 0; seconds <= 60; seconds += 10)
    window.add({ ...moment(seconds, { ios: seconds * 1e6 }), windowEvery: seconds === 30 ? 2 : 4 });
  // Each may have been the 4 s of the worst moment.
  const latest = window.latest(1);
  assert.deepEqual([latest?.seconds, latest?.windows, latest?.skew], [40, 10, 1 / Math.sqrt(10)]);
});

test('counts that were read at different times have that share of the period as error', () => {
  const window = new Window();
  window.add({ ...moment(0), skewMs: 400 });
  assert.equal(window.add({ ...moment(10), skewMs: 100 })?.skew, 0.05);
});
