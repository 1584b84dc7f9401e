import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Evidence, measuredBetween } from '../../../../exporter/assessment/cause/evidence.ts';
import type { PartTimes } from '../../../../exporter/assessment/cause/thread-times.ts';

const NONE: Evidence = {
  at: 0,
  threads: undefined,
  throttled: undefined,
  cpus: undefined,
  frequency: undefined,
  stalls: { cpu: undefined, io: undefined, memory: undefined },
  ios: undefined,
  requests: undefined,
};

function part(run: number, wait: number, cpus: readonly number[] = []): PartTimes {
  return { threads: 1, run, wait, cpus };
}

/** Threads at a second: vCPUs and I/O threads. */
function at(second: number, vcpu: PartTimes, io: PartTimes, known: Partial<Evidence> = {}): Evidence {
  const ms = second * 1000;
  return { ...NONE, at: ms, threads: { at: ms, parts: { vcpu, io } }, ...known };
}

const BEFORE = at(0, part(0, 0), part(0, 0), { throttled: { vm: 0, iothread1: 0 } });

function shares(after: Evidence, before = BEFORE): Readonly<Record<string, string>> {
  const found = Object.entries(measuredBetween(before, after)).map(([name, value]) => [
    name,
    value.toFixed(2),
  ]);
  return Object.fromEntries(found);
}

test('throttled time is no wait', () => {
  // Ten seconds: the vCPUs run two and want ten, eight of which the quota takes.
  const limited = at(10, part(2, 8), part(0, 0), { throttled: { vm: 8, iothread1: 0 } });
  assert.deepEqual(shares(limited), {
    quota: '0.80',
    'quota vcpu': '0.00',
    'quota io': '0.00',
    'wait vcpu': '0.00',
    'wait io': '0.00',
  });
  const ofIoThread = at(10, part(9, 0), part(3, 6), { throttled: { vm: 0, iothread1: 6 } });
  assert.deepEqual([shares(ofIoThread)['quota io'], shares(ofIoThread)['wait io']], ['0.67', '0.00']);
  const neighbour = at(10, part(5, 5), part(1, 0), { throttled: { vm: 0, iothread1: 0 } });
  assert.deepEqual([shares(neighbour)['quota'], shares(neighbour)['wait vcpu']], ['0.00', '0.50']);
});

test('a new quota makes one round unknown, and so does a counter that fell', () => {
  const known = shares(at(10, part(2, 8), part(0, 0), { throttled: { vm: 8, iothread1: 0, vcpu0: 3 } }));
  assert.equal('quota' in known, false);
  assert.equal(known['wait vcpu'], '0.80');
  assert.deepEqual(shares(at(10, part(1, 1), part(0, 0)), at(0, part(2, 0), part(0, 0))), {});
  assert.deepEqual(shares(NONE, NONE), {}, 'no time has passed');
});

test('a part with a small CPU demand loses little', () => {
  const idle = at(10, part(0.01, 0.01), part(0, 0), { throttled: {} });
  assert.equal(shares(idle)['wait vcpu'], '0.02');
});

test('interrupts and steal of the part that loses most, and the CPU time of other programs', () => {
  const use = (
    busy: number,
    interrupts: number,
    steal: number,
  ): { busy: number; interrupts: number; steal: number } => ({
    busy,
    interrupts,
    steal,
  });
  const cpus = (busy: number, interrupts: number): Evidence['cpus'] =>
    new Map([
      [0, use(busy, 0, 0)],
      [1, use(busy, 0, busy / 10)],
      [2, use(0, interrupts, 0)],
    ]);
  const past = at(0, part(0, 0, [0, 1]), part(0, 0, [2]), { cpus: cpus(0, 0) });
  const now = at(10, part(5, 0, [0, 1]), part(0, 0, [2]), { cpus: cpus(10, 4) });
  assert.deepEqual(shares(now, past), {
    'wait vcpu': '0.00',
    'wait io': '0.00',
    interrupts: '0.40',
    steal: '0.05',
    others: '1.50',
  });
});

test('means of I/Os and requests, the stall on memory, and the frequency', () => {
  const before = {
    ...NONE,
    ios: { seconds: 1, times: 100 },
    requests: { seconds: 1, times: 100 },
    stalls: { cpu: 5, io: 10, memory: 1 },
  };
  const now = {
    ...NONE,
    at: 10_000,
    ios: { seconds: 3, times: 1100 },
    requests: { seconds: 1, times: 100 },
    stalls: { cpu: 9, io: 14, memory: 2 },
    frequency: 2e9,
  };
  assert.deepEqual(measuredBetween(before, now), {
    latency: 0.002,
    'memory stall': 0.1,
    'io stall': 0.4,
    'cpu stall': 0.4,
    frequency: 2e9,
  });
});

test("the time at the device is that of the VM's I/O, not of other requests", () => {
  const before = { ...NONE, ios: { seconds: 0, times: 0 }, requests: { seconds: 0, times: 0 } };
  const timeOf = (ios: number, requests: number): number | undefined =>
    measuredBetween(before, {
      ...NONE,
      at: 10_000,
      ios: { seconds: 1, times: ios },
      requests: { seconds: requests * 0.01, times: requests },
    })['device time'];
  assert.equal(timeOf(100, 100), 0.01);
  assert.equal(timeOf(100, 1000), 0.01, 'a device with other users');
  assert.equal(timeOf(1000, 10), 0.0001, 'the I/Os are not at this device');
  assert.equal(timeOf(0, 10), undefined);
});
