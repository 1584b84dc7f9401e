import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Cause,
  diagnose,
  rankCauses,
  type TimedEvent,
} from '../../../../exporter/assessment/cause/diagnosis.ts';
import { MEASURES, type Measured } from '../../../../exporter/assessment/cause/measures.ts';
import type { Hour } from '../../../../exporter/assessment/cause/worsening.ts';

const START = 1_800_000_000;
const STEP = 10;

/** Values ten seconds apart: so many of each. */
function levels(...parts: readonly (readonly [count: number, value: number | null])[]): (number | null)[] {
  return parts.flatMap(([count, value]) => new Array<number | null>(count).fill(value));
}

function hourOf(series: Hour['series']): Hour {
  const length = Math.max(...Object.values(series).map((values) => values.length));
  return { times: Array.from({ length }, (_, i) => START + i * STEP), series };
}

function event(kind: TimedEvent['kind'], at: number, what = ''): TimedEvent {
  return { kind, vm: 'db', what, evidence: '', at: (START + at) * 1000 };
}

const named = (causes: readonly Cause[]): string[] => causes.map(({ cause }) => cause);
const FALL = levels([60, 1000], [10, 500]);

test('a rate that fell: the changes in the same minutes, and the start', () => {
  const { worsening, causes, unknown } = diagnose(
    hourOf({ iops: FALL, quota: levels([60, 0], [10, 0.5]), 'wait vcpu': levels([60, 0.05], [10, 0.15]) }),
    [],
  );
  assert.equal(worsening?.metric, 'iops');
  assert.deepEqual(
    [worsening.from, worsening.to, worsening.loss].map((value) => Number(value.toFixed(3))),
    [1000, 500, 0.5],
  );
  assert.equal(worsening.since, START + 59 * STEP);
  assert.deepEqual(causes[0], {
    cause: 'quota',
    before: 0,
    after: 0.5,
    unit: 'ratio',
    explains: causes[0]?.explains,
    text: 'a CPU quota takes 50% of the CPU time that the VM wants, before 0%',
  });
  assert.ok((causes[0]?.explains ?? 0) > 0.999);
  assert.deepEqual(named(causes), ['quota', 'run_queue_wait']);
  assert.deepEqual(unknown, [
    'interrupts',
    'exits',
    'device',
    'frequency',
    'memory_pressure',
    'io_pressure',
    'steal',
  ]);
});

test('no measure changed: no cause, and the unknown measures', () => {
  const { worsening, causes, unknown } = diagnose(hourOf({ iops: FALL, quota: levels([70, 0]) }), []);
  assert.ok(worsening);
  assert.deepEqual(causes, []);
  assert.ok(!unknown.includes('quota') && unknown.includes('device'));
});

test('no worsening: a steady rate, a better one, a short dip, a load that comes and goes, an idle VM, no values', () => {
  for (const iops of [
    levels([70, 1000]),
    levels([60, 1000], [10, 900]),
    levels([60, 500], [10, 1000]),
    levels([60, 1000], [1, 10]),
    levels([30, 1000], [1, 10], [30, 1000]),
    levels([30, 1000], [10, 500], [30, 1000]),
    levels([20, 1000], [20, 500], [20, 1000], [20, 500], [20, 1000], [20, 500]),
    levels([70, 0]),
    levels([70, null]),
    [],
  ])
    assert.deepEqual(diagnose(hourOf({ iops }), []), {
      isKnown: iops.includes(1000) || iops.includes(0),
      worsening: undefined,
      causes: [],
      unknown: [],
    });
});

test('a latency that rose while the rate did not fall', () => {
  const { worsening, causes } = diagnose(
    hourOf({
      iops: levels([70, 1000]),
      latency: levels([60, 1e-3], [10, 4e-3]),
      'device time': levels([60, 5e-4], [10, 3.5e-3]),
    }),
    [],
  );
  assert.equal(worsening?.metric, 'latency');
  assert.equal(causes[0]?.cause, 'device');
  // The device takes 3 ms more, and so does the I/O.
  assert.ok((causes[0]?.explains ?? 0) > 0.99);
  assert.equal(causes[0]?.text, 'an I/O takes 3.5 ms at the device, before 500 us');
});

test('values that are unknown do not change where the rate fell', () => {
  const iops = levels([20, 1000], [20, null], [20, 1000], [5, null], [10, 500]);
  assert.equal(diagnose(hourOf({ iops }), []).worsening?.since, START + 59 * STEP);
});

test('an event takes over the measures through which it acts, and counts in the same minutes only', () => {
  const hour = hourOf({
    iops: FALL,
    'wait io': levels([60, 0], [10, 0.3]),
    'exit time': levels([60, 0.1], [10, 0.2]),
  });
  const drift = event('drift_began', 600, 'iothread:io0 shared cpu');
  const ranked = diagnose(hour, [drift]).causes;
  assert.deepEqual(named(ranked), ['lost_pin', 'exits']);
  assert.equal(
    ranked[0]?.text,
    'a thread left its expected affinity (iothread:io0 shared cpu); its I/O threads wait for a CPU 30% of the time in which they want one, before 0%',
  );
  assert.deepEqual(named(diagnose(hour, [event('drift_began', 100)]).causes), ['run_queue_wait', 'exits']);
  // A lost pin is also a lost technique: it is listed once.
  const both = [drift, event('technique_lost', 620, 'affinity'), event('technique_lost', 625, 'polling')];
  assert.deepEqual(named(diagnose(hour, both).causes), ['lost_pin', 'lost_technique']);
});

test('an event without a measure could explain the share that no measure explains', () => {
  const events = [event('apicv_inhibited', 0)];
  const none = rankCauses({ before: {}, after: {}, loss: 0.4, events });
  assert.deepEqual(
    none.map(({ cause, explains, before, after }) => [cause, explains, before, after]),
    [['apicv_inhibited', 1, undefined, undefined]],
  );
  const most = rankCauses({ before: { quota: 0 }, after: { quota: 0.3 }, loss: 0.4, events });
  assert.deepEqual(named(most), ['quota', 'apicv_inhibited']);
  assert.equal(most[1]?.explains.toFixed(2), '0.25');
  const all = rankCauses({ before: { quota: 0 }, after: { quota: 0.4 }, loss: 0.4, events });
  assert.deepEqual(named(all), ['quota'], 'nothing is left');
});

test('a device without the latency of an I/O, a frequency, an interrupt within an exit', () => {
  const one = (before: Measured, after: Measured): readonly (readonly [string, string])[] =>
    rankCauses({ before, after, loss: 0.5, events: [] }).map(({ cause, explains }) => [
      cause,
      explains.toFixed(2),
    ]);
  assert.deepEqual(one({ 'device time': 1e-3 }, { 'device time': 4e-3 }), [['device', '1.00']]);
  assert.deepEqual(one({ 'device time': 1e-3, latency: 1e-3 }, { 'device time': 4e-3, latency: 3e-2 }), [
    ['device', '0.20'],
  ]);
  const unchanged = { 'device time': 4e-3, latency: 1e-3 };
  assert.deepEqual(
    one({ 'device time': 1e-3, latency: 1e-3 }, unchanged),
    [],
    'its requests are of other users',
  );
  assert.deepEqual(one({ frequency: 4e9 }, { frequency: 3e9 }), [['frequency', '0.50']]);
  assert.deepEqual(one({ frequency: 3e9 }, { frequency: 4e9 }), [], 'faster');
  const exits = { before: { 'exit time': 0.1, interrupts: 0 }, after: { 'exit time': 0.4, interrupts: 0.2 } };
  assert.deepEqual(one(exits.before, exits.after), [
    ['interrupts', '0.40'],
    ['exits', '0.22'],
  ]);
});

test('a share counts by the remaining time: a wait that rose from 75% to 90%', () => {
  const [cause] = rankCauses({
    before: { 'wait vcpu': 0.75 },
    after: { 'wait vcpu': 0.9 },
    loss: 0.6,
    events: [],
  });
  assert.equal(cause?.explains.toFixed(3), '1.000');
});

test('other programs are named beside the wait', () => {
  const before = { 'wait vcpu': 0, others: 0.1 };
  const [cause] = rankCauses({ before, after: { 'wait vcpu': 0.5, others: 1.02 }, loss: 0.5, events: [] });
  assert.match(cause?.text ?? '', /; other programs use 1 of its CPUs, before 0.1$/);
});

test('memory in swap takes over the pressure of the cgroup, and is a cause without it', () => {
  const swap = { ...event('swap_began', 0), evidence: '640 MiB in 10 s' };
  const change = { before: { 'memory stall': 0 }, after: { 'memory stall': 0.6 }, loss: 0.6 };
  const [cause, ...others] = rankCauses({ ...change, events: [swap] });
  assert.equal(cause?.cause, 'memory_swap');
  assert.equal(cause.after, 0.6);
  assert.match(cause.text, /went to swap \(640 MiB in 10 s\); a task of its cgroup waits for memory 60%/);
  assert.deepEqual(others, []);
  const [alone] = rankCauses({ before: {}, after: {}, loss: 0.6, events: [swap] });
  assert.deepEqual([alone?.cause, alone?.explains], ['memory_swap', 1]);
});

test('NUMA balancing acts by the exits of the pages that it moves', () => {
  const moves = event('numa_balancing_began', 0);
  const change = { before: { 'exit time': 0.1 }, after: { 'exit time': 0.4 }, loss: 0.5, events: [moves] };
  assert.equal(rankCauses(change)[0]?.cause, 'numa_balancing');
});

test('pressure of the cgroup: for I/O always, for CPU if the waits of threads are unknown', () => {
  const [io] = rankCauses({
    before: { 'io stall': 0.1 },
    after: { 'io stall': 0.55 },
    loss: 0.5,
    events: [],
  });
  assert.equal(io?.cause, 'io_pressure');
  assert.match(io.text, /waits for the host's I\/O 55% of the time, before 10%/);
  const [cpu] = rankCauses({
    before: { 'cpu stall': 0 },
    after: { 'cpu stall': 0.5 },
    loss: 0.5,
    events: [],
  });
  assert.equal(cpu?.cause, 'run_queue_wait');
  assert.match(cpu.text, /a task of its cgroup waits for a CPU 50%/);
});

const share = fc.double({ min: 0, max: 1, noNaN: true });
const measured: fc.Arbitrary<Measured> = fc
  .tuple(...MEASURES.map((measure) => fc.option(share.map((value): [string, number] => [measure, value]))))
  .map((pairs) => Object.fromEntries(pairs.filter((pair) => pair !== null)));
const events = fc.array(
  fc
    .constantFrom(
      'drift_began',
      'technique_lost',
      'apicv_inhibited',
      'migration_began',
      'swap_began',
      'vm_started' as const,
    )
    .map((kind) => event(kind, 0)),
);

test('ranks are shares, in order, one for each cause, with a text', () => {
  fc.assert(
    fc.property(
      measured,
      measured,
      fc.double({ min: 0.2, max: 1, noNaN: true }),
      events,
      (before, after, loss, all) => {
        const causes = rankCauses({ before, after, loss, events: all });
        assert.equal(new Set(named(causes)).size, causes.length);
        for (const [i, { explains, text }] of causes.entries()) {
          assert.ok(explains > 0 && explains <= 1);
          assert.ok(explains <= (causes[i - 1]?.explains ?? 1));
          assert.ok(text.length > 0 && !text.includes('undefined') && !text.includes('NaN'));
        }
      },
    ),
  );
});

test('a measure that did not change is no cause', () => {
  fc.assert(
    fc.property(measured, fc.double({ min: 0.2, max: 1, noNaN: true }), (same, loss) => {
      assert.deepEqual(rankCauses({ before: same, after: same, loss, events: [] }), []);
    }),
  );
});

test('a larger share of a cause never ranks it lower', () => {
  fc.assert(
    fc.property(measured, share, share, (after, less, more) => {
      const rankOf = (quota: number): number => {
        const before = { ...Object.fromEntries(MEASURES.map((measure) => [measure, 0])), frequency: 1 };
        const causes = rankCauses({
          before,
          after: { ...after, 'quota vcpu': 0, 'quota io': 0, quota },
          loss: 1,
          events: [],
        });
        const rank = named(causes).indexOf('quota');
        return rank < 0 ? Number.POSITIVE_INFINITY : rank;
      };
      assert.ok(rankOf(Math.max(less, more)) <= rankOf(Math.min(less, more)));
    }),
  );
});

test('any hour gives an answer, and its worsening is between two levels of the series', () => {
  const value = fc.option(fc.double({ min: 0, max: 1e7, noNaN: true }));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 120 }), (iops) => {
      const { worsening } = diagnose(hourOf({ iops }), []);
      if (worsening === undefined) return;
      assert.ok(worsening.to < worsening.from && worsening.loss >= 0.2 && worsening.loss <= 1);
      assert.ok(worsening.before.to <= worsening.after.from);
    }),
  );
});
