import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Store } from '../../../../exporter/page/browser/store.ts';
import type { LiveDetail, LiveEvent, LiveVm, LiveVms } from '../../../../exporter/page/live.ts';
import { liveVm } from './samples.ts';

const START = 1_800_000_000_000;

function vms(second: number, ...all: LiveVm[]): LiveVms {
  return { at: START + second * 1000, everyMs: 1000, vms: all, cpus: [{ run: second / 2, threads: 1 }] };
}

function detail(second: number, reasons: LiveDetail['reasons']): LiveDetail {
  const thread = {
    thread: 'vcpu0',
    role: 'vcpu',
    cpu: 0,
    node: 0,
    run: second / 4,
    wait: 0,
    migrations: second,
  };
  const empty = { durations: {}, kicks: [], queues: [], report: undefined };
  return { vm: 'web', at: START + second * 1000, threads: [thread], reasons, ...empty };
}

const exits = (total: number): LiveVm['exits'] => ({ total, from: 'kvm_vm_exits_total' });

test('rates of VMs, CPUs, threads and reasons, and their history', () => {
  const store = new Store();
  for (let second = 0; second < 10; second++) {
    store.takeDetail(detail(second, { HLT: second * 30 }));
    store.takeVms(vms(second, liveVm('web', { exits: exits(second * 50) })));
  }
  assert.equal(store.row('web')?.rates.exits, 50);
  assert.deepEqual(store.cpuBusy, [0.5]);
  assert.deepEqual(store.threadRates('web').get('vcpu0'), { run: 0.25, wait: 0, migrations: 1 });
  const { times, values } = store.drawn('web', ['exits', 'reason HLT']);
  assert.equal(times.length, 10);
  assert.deepEqual(values, [
    [null, ...Array(9).fill(50)],
    [null, ...Array(9).fill(30)],
  ]);
});

test('a counter reset is a gap, not a fall', () => {
  const store = new Store();
  for (let second = 0; second < 5; second++)
    store.takeVms(vms(second, liveVm('web', { exits: exits(second) })));
  store.takeVms(vms(5, liveVm('web', { exits: exits(0), pid: '8' })));
  assert.equal(store.row('web')?.rates.exits, undefined);
  assert.equal(store.drawn('web', ['exits']).values[0]?.at(-1), null);
});

test('after an interruption rates restart, and the history stays', () => {
  const store = new Store();
  for (let second = 0; second < 3; second++)
    store.takeVms(vms(second, liveVm('web', { exits: exits(second) })));
  store.interrupt();
  store.takeVms(vms(4, liveVm('web', { exits: exits(1000) })));
  assert.equal(store.row('web')?.rates.exits, undefined);
  store.takeVms(vms(5, liveVm('web', { exits: exits(1001) })));
  assert.deepEqual(store.drawn('web', ['exits']).values, [[null, 1, 1, null, 1]]);
});

test('changes of stage and phase are marks', () => {
  const store = new Store();
  const event = (second: number, kind: string, what: string, vm = 'web'): LiveEvent => {
    return { id: second, at: START + second * 1000, vm, kind, what, evidence: '' };
  };
  store.events = [
    event(2, 'stage_changed', 'stage: original -> exitless polling'),
    event(3, 'phase_changed', 'phase: v2 -> none'),
    event(4, 'drift_began', 'drift: vcpu0 lost pin'),
    event(5, 'stage_changed', 'stage: original -> affinity', 'db'),
  ];
  assert.deepEqual(store.marks('web'), [
    { at: START / 1000 + 2, label: 'exitless polling' },
    { at: START / 1000 + 3, label: 'no phase' },
  ]);
});

test("the daemon's record precedes the page's own data", () => {
  const store = new Store();
  const seconds = [-30, -20, -10, 0, 1];
  store.takeHistory({
    vm: 'web',
    times: seconds.map((second) => START / 1000 + second),
    series: { exits: [1, null, 3, 4, 5] },
  });
  for (let second = 0; second < 3; second++)
    store.takeVms(vms(second, liveVm('web', { exits: exits(second * 7) })));
  const { times, values } = store.drawn('web', ['exits', 'iops']);
  assert.deepEqual(
    times.map((time) => time - START / 1000),
    [-30, -20, -10, 0, 1, 2],
  );
  assert.deepEqual(values, [
    [1, null, 3, null, 7, 7],
    [null, null, null, null, null, null],
  ]);
  assert.deepEqual(store.names('web'), ['exits']);
  store.takeOverview({ times: [], vms: { web: { iops: [1, 2] } } });
  store.takeVms(vms(3, liveVm('web'), liveVm('db')));
  assert.deepEqual(
    store.rows.map(({ hour }) => hour),
    [{ iops: [1, 2] }, undefined],
  );
});

test('details of an exited VM are dropped', () => {
  const store = new Store();
  store.takeDetail(detail(0, {}));
  store.takeVms(vms(0, liveVm('web')));
  assert.ok(store.detail('web'));
  store.takeVms(vms(1, liveVm('db')));
  assert.equal(store.detail('web'), undefined);
  assert.equal(store.row('web'), undefined);
});
