import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Evidence } from '../../../../exporter/assessment/cause/evidence.ts';
import type { PartTimes } from '../../../../exporter/assessment/cause/thread-times.ts';
import type { HostEvent } from '../../../../exporter/model/host-event.ts';
import type { VmCounters } from '../../../../exporter/model/vm-counters.ts';
import { HostHistory, MAX_VMS } from '../../../../exporter/page/history/host-history.ts';

const START = 1_800_000_000_000;

/** A VM with two vCPUs at a second of the test. */
function counters(vm: string, second: number, known: Partial<VmCounters> = {}): VmCounters {
  return {
    vm,
    pid: '7',
    at: second * 1000,
    vcpus: 2,
    run: { vcpu: second, iothread: second / 4 },
    exits: { total: second * 100, from: 'kvm_exit' },
    reasons: {},
    path: { kick: second * 10, inject: 0, eoi: 0 },
    io: { total: second * 50, from: 'disks' },
    devices: [],
    hidden: [],
    ioRoles: ['iothread'],
    wait: {},
    throttled: {},
    durations: undefined,
    ...known,
  };
}

interface Started {
  readonly history: HostHistory;
  readonly events: HostEvent[];
  /** Takes the VMs at this second. */
  take(second: number, ...vms: VmCounters[]): void;
}

function start(everyMs = 10_000): Started {
  const events: HostEvent[] = [];
  const history = new HostHistory({ onEvent: (event) => events.push(event), everyMs: () => everyMs });
  return { history, events, take: (second, ...vms) => history.take(START + second * 1000, vms) };
}

test('rates of an hour by VM, from rounds ten seconds apart', () => {
  const { history, take } = start();
  for (let second = 0; second <= 4000; second += 10) take(second, counters('db', second));
  const { times, series } = history.read('db');
  assert.deepEqual([times.length, times[0], times.at(-1)], [361, START / 1000 + 400, START / 1000 + 4000]);
  assert.deepEqual(Object.keys(series), [
    'iops',
    'exits',
    'kick per I/O',
    'inject per I/O',
    'eoi per I/O',
    'cores vcpu',
    'cores iothread',
    'exit time',
  ]);
  assert.deepEqual(
    Object.values(series).map((values) => values.at(-1)),
    [50, 100, 0.2, 0, 0, 1, 0.25, 0.0001],
  );
  assert.deepEqual(history.read('web'), { vm: 'web', times: [], series: {} });
});

test('exit reasons and run-queue waits of an hour, so that all charts of a VM are full', () => {
  const { history } = start();
  const part = (wait: number): PartTimes => ({ threads: 2, run: wait * 100, wait, cpus: [] });
  const take = (second: number, reasons: Record<string, number>): void => {
    const parts = { vcpu: part(second * 0.2), io: part(second * 0.05) };
    const evidence: Evidence = {
      at: second * 1000,
      threads: { at: second * 1000, parts },
      throttled: {},
      cpus: undefined,
      frequency: undefined,
      stalls: { cpu: undefined, io: undefined, memory: undefined },
      ios: undefined,
      requests: undefined,
    };
    history.take(START + second * 1000, [counters('db', second, { reasons })], new Map([['db', evidence]]));
  };
  const many = (second: number): Record<string, number> =>
    Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`R${i}`, second * (i + 1)]));
  for (let second = 0; second <= 100; second += 10) take(second, many(second));
  const { series } = history.read('db');
  assert.deepEqual(
    Object.keys(series).filter((name) => name.startsWith('reason ')),
    [29, 28, 27, 26, 25, 24, 23, 22].map((i) => `reason R${i}`),
    'the most frequent',
  );
  assert.deepEqual([series['reason R29']?.at(-1), series['queue wait']?.at(-1)], [30, 0.25]);
  for (let second = 110; second <= 200; second += 10)
    take(second, {
      ...many(100),
      R0: second * 99,
      R1: second * 98,
      R2: 7,
      R3: second * 97,
      R4: second,
      R5: second,
    });
  const later = history.read('db').series;
  assert.equal(
    Object.keys(later).filter((name) => name.startsWith('reason ')).length,
    12,
    'memory has a limit',
  );
  assert.deepEqual([later['reason R0']?.at(-1), later['reason R29']?.at(-1)], [99, 0]);
});

test('a schedule of one second gives a point every ten', () => {
  const { history, take } = start(1000);
  for (let second = 0; second <= 60; second++) take(second, counters('db', second));
  const gaps = history.read('db').times.map((time, i, all) => time - (all[i - 1] ?? time));
  assert.ok(Math.max(...gaps) <= 10 && gaps.length <= 8, gaps.join(' '));
});

test('no rate covers a sleep of the host, a counter that fell, or another VM of the name', () => {
  const { history, take } = start();
  take(0, counters('db', 0));
  take(10, counters('db', 10));
  take(600, counters('db', 600));
  take(610, counters('db', 610, { exits: { total: 5, from: 'kvm_exit' } }));
  // The gap between the lines is a point of its own.
  assert.deepEqual(history.read('db').series['exits'], [null, 100, null, null, null]);
  take(620, counters('db', 620, { pid: '8' }));
  assert.deepEqual(history.read('db').series['exits'] ?? [], []);
});

test('quantiles of the exits in the last half minute, without halts', () => {
  const { history, take } = start();
  const timed = (second: number): VmCounters =>
    // 98% in ]1024, 2048] ns, 2% in ]65536, 131072] ns.
    counters('db', second, {
      durations: new Map([
        [11, second * 98],
        [17, second * 2],
      ]),
    });
  for (const second of [0, 10, 20, 30, 40]) take(second, timed(second));
  const { series } = history.read('db');
  const [p50 = 0, p99 = 0] = [series['p50']?.at(-1) ?? 0, series['p99']?.at(-1) ?? 0];
  assert.ok(p50 > 1.024e-6 && p50 < 2.048e-6, String(p50));
  assert.ok(p99 > 65e-6 && p99 < 132e-6, String(p99));
});

test('the overview has the means of sixty minutes', async () => {
  const { history, take } = start();
  for (let second = 0; second <= 120; second += 10) take(second, counters('db', second));
  const { times, vms } = await history.overview();
  assert.equal(times.length, 60);
  assert.equal(times.at(-1), START / 1000 + 120);
  assert.deepEqual(vms['db']?.['iops']?.slice(-3), [null, 50, 50]);
  assert.deepEqual(Object.keys(vms['db'] ?? {}), ['iops', 'exits'], 'no series without a value');
});

test('a VM that starts or ends is an event; those of the first round were there before', () => {
  const { events, history, take } = start();
  take(0, counters('db', 0));
  take(10, counters('db', 10), counters('web', 10));
  take(20, counters('web', 20, { pid: '9' }));
  const text = events.map(({ kind, vm, evidence }) => `${kind} ${vm} ${evidence}`);
  assert.deepEqual(text, [
    'vm_started web pid 7',
    'vm_ended db pid 7',
    'vm_ended web pid 7',
    'vm_started web pid 9',
  ]);
  assert.deepEqual(history.read('db').times, []);
});

test('a storm is one event at its begin, and one after half a minute without it', () => {
  const { events, take } = start();
  const exits = [0, 300_000, 600_000, 600_100, 900_000, 900_100, 900_200, 900_300, 900_400];
  for (const [i, total] of exits.entries())
    take(i * 10, counters('db', i * 10, { exits: { total, from: 'kvm_exit' } }));
  const text = events.map(({ kind, evidence }) => `${kind}: ${evidence}`);
  assert.deepEqual(text, ['storm_began: 15k exits/s a vCPU', 'storm_ended: ']);
});

test('a device on which requests hang for a round is a stall', () => {
  const { events, take } = start();
  const device = (inFlight: number, completed: number): Partial<VmCounters> => ({
    devices: [{ device: 'nvme0n1', inFlight, completed }],
  });
  const states = [device(1, 10), device(32, 20), device(32, 20), device(0, 60), device(0, 60), device(0, 60)];
  for (const [i, state] of states.entries()) take(i * 10, counters('db', i * 10, state));
  const text = events.map(({ kind, evidence }) => `${kind}: ${evidence}`);
  assert.deepEqual(text, ['stall_began: 32 I/Os hang on nvme0n1', 'stall_ended: ']);
});

test('VMs beyond the limit have events and no history; their memory is freed when a VM ends', () => {
  const { events, history, take } = start();
  const all = Array.from({ length: MAX_VMS + 1 }, (_, i) => `vm-${i}`);
  const at = (second: number, names: readonly string[]): void =>
    take(second, ...names.map((vm) => counters(vm, second)));
  at(0, all);
  at(10, all);
  assert.deepEqual(history.read(`vm-${MAX_VMS}`).series, {});
  at(20, all.slice(1));
  at(30, all.slice(1));
  assert.equal(history.read(`vm-${MAX_VMS}`).series['iops']?.at(-1), 50);
  assert.equal(events.length, 1);
});
