import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as thresholds from '../../../../alerts/thresholds.ts';
import { conditionsOf, LIMITS, severityOf } from '../../../../exporter/page/browser/conditions.ts';
import { vmRates } from '../../../../exporter/page/browser/rates.ts';
import { stageInWords, verdictLine } from '../../../../exporter/page/browser/verdicts.ts';
import type { LiveTechnique, LiveVm } from '../../../../exporter/page/live.ts';
import { liveVm } from './samples.ts';

const EXITS = 'kvm_vm_exits_total';
const DISKS = 'kvm_vm_disk_*_completed_total';

/** Conditions of a VM with two vCPUs, from two collections that are five seconds apart. */
function found(before: Partial<LiveVm>, now: Partial<LiveVm>, seconds = 5): string[] {
  const [past, current] = [liveVm('a', before), liveVm('a', now)];
  const conditions = conditionsOf(current, vmRates(past, current, seconds));
  return conditions.map(({ kind, evidence }) => `${kind}: ${evidence}`);
}

const exits = (total: number): Partial<LiveVm> => ({ exits: { total, from: EXITS } });
const io = (total: number): Partial<LiveVm> => ({ io: { total, from: DISKS } });
const device = (inFlight: number, completed: number): Partial<LiveVm> => ({
  devices: [{ device: 'nvme0n1', inFlight, completed }],
});

test('the limits are those of the alerts', () => {
  assert.deepEqual(LIMITS, {
    excessExits: thresholds.exitStorm.perVcpu,
    exitsPerIo: thresholds.EXITS_PER_IO,
    exitsPerPathEvent: thresholds.EXITS_PER_PATH_EVENT,
    wait: thresholds.vcpuStarved.wait,
    throttled: thresholds.vmThrottled.throttled,
  });
});

test('a technique that was lost, with its number and the one before; a lost pin is a drift already', () => {
  const lost = (technique: string, more: Partial<LiveTechnique>): LiveTechnique => ({
    technique,
    state: 'lost',
    since: new Date(2026, 10, 27, 13, 52).getTime() / 1000,
    evidence: {},
    was: {},
    reason: undefined,
    unjudged: undefined,
    contradictsPhase: false,
    ...more,
  });
  const polling = lost('exitless_polling', {
    evidence: { kicks_per_io: 3, interrupts_per_io: 1 },
    was: { kicks_per_io: 0.11 },
  });
  const pins = lost('affinity', {});
  const drift = { threads: 1, kinds: ['unpinned'] };
  assert.deepEqual(found({}, { techniques: [pins, polling], drift }), [
    'technique lost: polling LOST 13:52: 3 kicks/I/O, was 0.11',
    'drift: 1 thread',
  ]);
  assert.deepEqual(found({}, { techniques: [pins] }), ['technique lost: pinning LOST 13:52']);
  const pinnedAgain = lost('affinity', { evidence: { pinned_threads: 1 }, was: { pinned_threads: 1 } });
  assert.deepEqual(found({}, { techniques: [pinnedAgain] }), ['technique lost: pinning LOST 13:52']);
  const [brief] = conditionsOf(liveVm('a', { techniques: [polling] }), vmRates(undefined, liveVm('a'), 5));
  assert.equal(brief?.brief, 'polling', 'the table of VMs shows the numbers in the verdict line');
  const now = polling.since + 60;
  const since = now - 6 * 86_400;
  const techniques = [{ ...pins, state: 'in_force', since }, polling, { ...pins, state: 'off' }];
  assert.equal(
    verdictLine(techniques, now),
    'pinning in force 6 d · polling LOST 13:52: 3 kicks/I/O, was 0.11',
  );
  assert.equal(verdictLine([], now), 'no technique in force');
  const hour = { iops: [100, null, 100, 70, 68, 68] };
  assert.match(verdictLine(techniques, polling.since + 150, hour), / · I\/O -32%$/);
  assert.doesNotMatch(verdictLine(techniques, polling.since + 3600, hour), /I\/O [-+]/, 'nothing before it');
});

test('a verdict that holds without a judgement shows its age once it is old', () => {
  const now = 1_000_000;
  const judged = (state: string, unjudged: LiveTechnique['unjudged']): LiveTechnique => ({
    technique: 'exitless_polling',
    state,
    since: now - 6 * 86_400,
    evidence: { kicks_per_io: 3 },
    was: {},
    reason: undefined,
    unjudged,
    contradictsPhase: false,
  });
  const line = (state: string, unjudged: LiveTechnique['unjudged']): string =>
    verdictLine([judged(state, unjudged)], now);
  assert.equal(line('in_force', undefined), 'polling in force 6 d');
  assert.equal(line('in_force', { seconds: 599 }), 'polling in force 6 d');
  assert.equal(line('in_force', { seconds: 11_000 }), 'polling in force 6 d (not judged for 3 h)');
  assert.equal(line('partly', {}), 'polling partly 6 d (not judged since the exporter started)');
  assert.match(line('lost', { seconds: 700 }), /: 3 kicks\/I\/O \(not judged for 11 min\)$/);
  assert.equal(line('off', { seconds: 700 }), 'no technique in force');
  assert.equal(line('unknown', { seconds: 700 }), 'polling unknown');
});

test('an exit storm is the excess of exits over the I/O, per vCPU', () => {
  assert.deepEqual(found(exits(0), exits(100_000)), []);
  assert.deepEqual(found(exits(0), exits(100_050)), ['exit storm: 10k exits/s a vCPU']);
  // 20,000 I/Os per second with three exits each.
  assert.deepEqual(found({ ...exits(0), ...io(0) }, { ...exits(300_000), ...io(100_000) }), []);
  // The same exits with polling in force: the traced steps explain almost none of them.
  const path = { kick: 100, inject: 0, eoi: 0 };
  const polled = { ...exits(300_000), ...io(100_000), path };
  const before = { ...exits(0), ...io(0), path: { kick: 0, inject: 0, eoi: 0 } };
  assert.deepEqual(found(before, polled), ['exit storm: 30k exits/s a vCPU']);
  assert.deepEqual(found({}, {}), [], 'unknown exits are no storm');
});

test('a device is stalled if nothing completes although requests are in flight all the time', () => {
  assert.deepEqual(found(device(4, 100), device(32, 100)), ['stalled: 32 I/Os hang on nvme0n1']);
  assert.deepEqual(found(device(4, 100), device(32, 101)), []);
  assert.deepEqual(found(device(0, 100), device(32, 100)), []);
  assert.deepEqual(found(device(4, 100), device(0, 100)), []);
  assert.deepEqual(found(device(4, 100), device(32, 100), 1), [], 'a second is too short');
  assert.deepEqual(found({}, device(32, 100)), [], 'a device that was not there before');
});

test('a VM is starved if its vCPUs wait for more than a tenth of the time', () => {
  assert.deepEqual(found({ wait: { vcpu: 0 } }, { wait: { vcpu: 1 } }), []);
  assert.deepEqual(found({ wait: { vcpu: 0, emulator: 0 } }, { wait: { vcpu: 3, emulator: 9 } }), [
    'starved: vCPUs wait 30% of the time',
  ]);
});

test('a VM that a CPU quota stops is throttled, and not starved', () => {
  const before = { throttled: { vm: 0, '/machine.slice': 0 }, wait: { vcpu: 0 } };
  assert.deepEqual(found(before, { throttled: { vm: 0.4, '/machine.slice': 0.4 }, wait: { vcpu: 0.4 } }), []);
  assert.deepEqual(found(before, { throttled: { vm: 4, '/machine.slice': 3.9 }, wait: { vcpu: 4.2 } }), [
    'throttled: 0.80 CPUs by its quota',
  ]);
  assert.deepEqual(found(before, { throttled: { vm: 0, '/machine.slice': 1 }, wait: { vcpu: 4 } }), [
    'throttled: 0.20 CPUs by the quota of /machine.slice',
    'starved: vCPUs wait 30% of the time',
  ]);
});

test('the worst condition comes first and decides the order', () => {
  const before = { ...exits(0), ...device(1, 5), wait: { vcpu: 0 } };
  const drift = { threads: 1, kinds: ['unpinned'] };
  const now = { ...exits(1e6), ...device(1, 5), wait: { vcpu: 5 }, drift };
  assert.deepEqual(
    found(before, now).map((text) => text.split(':')[0]),
    ['stalled', 'exit storm', 'starved', 'drift'],
  );
  const condition = (kind: 'stalled' | 'drift'): { kind: typeof kind; evidence: string } => ({
    kind,
    evidence: '',
  });
  assert.equal(severityOf([]), 0);
  assert.ok(severityOf([condition('stalled'), condition('drift')]) > severityOf([condition('drift')]));
});

test('exits are no storm if the host does not see the I/Os that cause them', () => {
  const hides = (...whats: string[]): Partial<LiveVm> => ({
    hidden: [{ reason: 'vhost_user', whats, text: '' }],
  });
  const path = (kick: number): Partial<LiveVm> => ({ path: { kick, inject: 0, eoi: 0 } });
  const storm = ['exit storm: 30k exits/s a vCPU'];
  assert.deepEqual(found({ ...exits(0), ...hides('io') }, { ...exits(300_000), ...hides('io') }), []);
  // Kicks explain exits, as far as they are counted.
  const before = { ...exits(0), ...path(0), ...hides('io') };
  assert.deepEqual(found(before, { ...exits(300_000), ...path(150_000), ...hides('io') }), []);
  assert.deepEqual(found(before, { ...exits(300_000), ...path(0), ...hides('io') }), storm);
  // The steps of a confidential guest are not all counted, so its I/Os explain the exits.
  const guest = { ...exits(0), ...path(0), ...io(0), ...hides('kicks', 'exits') };
  const busy = { ...exits(300_000), ...path(0), ...io(60_000), ...hides('kicks', 'exits') };
  assert.deepEqual(found(guest, busy), []);
});

test('a stage of the paper, unknown while a technique is unknown, else none', () => {
  const judged = (state: string): LiveTechnique => ({
    technique: 'affinity',
    state,
    since: 0,
    evidence: {},
    was: {},
    reason: undefined,
    unjudged: undefined,
    contradictsPhase: false,
  });
  assert.equal(stageInWords(liveVm('a', { stage: 'pinned_queues' })), 'pinned queues');
  assert.equal(stageInWords(liveVm('a', { techniques: [judged('partly')] })), 'none');
  assert.equal(stageInWords(liveVm('a', { techniques: [judged('off'), judged('unknown')] })), 'unknown');
  assert.equal(stageInWords(liveVm('a')), undefined);
});
