import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparisonOf } from '../../../exporter/compare/comparison.ts';
import { METRICS } from '../../../exporter/compare/metrics.ts';
import type { Series } from '../../../exporter/prometheus/series.ts';
import { INTERVAL, memoryArchive, START, seriesOf, vmSeries } from '../../../testing/compared.ts';

const SCRAPES = 200;
const CHANGE = 100;
const END = START + (SCRAPES - 1) * INTERVAL;
const VM = vmSeries(SCRAPES, {
  stageAt: (i) => (i < CHANGE ? 'original' : 'affinity'),
  iosAt: (i) => 1000 * INTERVAL * i,
});

async function notesOf(series: readonly Series[], vm = 'web'): Promise<(readonly string[])[]> {
  const quiet = { onProgress: () => undefined, warnings: () => [] };
  const time = { start: START, end: END };
  const question = {
    vm,
    host: undefined,
    by: 'stage',
    time,
    metrics: METRICS,
    warmUp: 60,
    notes: [],
  } as const;
  const { configurations } = await comparisonOf(memoryArchive(series), question, quiet);
  return configurations.map(({ notes }) => notes.filter((note) => !note.startsWith('Not measured')));
}

test('counts from a sample of events are estimates, with their error', async () => {
  const sampled = (set: string, after: number): Series =>
    seriesOf('kvm_telemetry_trace_sampled_ratio', { set, vm: '' }, SCRAPES, (i) => (i <= CHANGE ? 1 : after));
  const [before, after] = await notesOf([...VM, sampled('notifications', 0.1), sampled('interrupts', 1)]);
  assert.deepEqual(before, []);
  // 742,500 kicks, a tenth of them in the sample: sqrt(4 / (3 x 74,250)).
  assert.deepEqual(after, [
    'Kicks are estimates from 10% of the events: their standard error is at most 0.42%, and the intervals contain it.',
  ]);
});

test('a VM that had another name in the time', async () => {
  const named = (vm: string, uuid: string, from: number, to: number): Series =>
    seriesOf('kvm_vm_info', { vm, name: vm, uuid }, SCRAPES, (i) => (i >= from && i < to ? 1 : undefined));
  const old = named('web-old', 'a', 0, 20);
  const [before, after] = await notesOf([
    ...VM,
    old,
    named('web', 'a', 20, SCRAPES),
    named('db', 'b', 0, SCRAPES),
  ]);
  assert.deepEqual(before, [
    'web was also called web-old in this time, by its UUID: what it did under that name is not counted.',
  ]);
  assert.deepEqual(after, []);
});

test('VMs without a UUID are not taken for one another', async () => {
  const named = (vm: string): Series => seriesOf('kvm_vm_info', { vm, name: vm, uuid: '' }, SCRAPES, () => 1);
  assert.deepEqual(await notesOf([...VM, named('web'), named('db')]), [[], []]);
});

test('a VM whose names are all read has no note', async () => {
  const named = (vm: string): Series =>
    seriesOf('kvm_vm_info', { vm, name: vm, uuid: 'a' }, SCRAPES, () => 1);
  const other = VM.map(({ labels, samples }) => ({ labels: { ...labels, vm: 'web-old' }, samples }));
  assert.deepEqual(await notesOf([...VM, ...other, named('web'), named('web-old')], 'web*'), [[], []]);
});

test('hidden I/O of a VM is a note on the configurations with hidden I/O', async () => {
  const sight = (what: string, reason: string, value: number, from: number): Series =>
    seriesOf('kvm_vm_visibility', { vm: 'web', what, reason }, SCRAPES, (i) =>
      i >= from ? value : undefined,
    );
  const [before, after] = await notesOf([
    ...VM,
    sight('kicks', '', 1, 0),
    sight('block', 'vhost_user', 0, CHANGE + 1),
    sight('io', 'vhost_user', 0, CHANGE + 1),
    sight('io', 'a reason of a later version', 0, CHANGE + 1),
  ]);
  assert.deepEqual(before, []);
  assert.deepEqual(after, [
    "Not visible to the host for web: requests of its disks and their duration, its requests in the host's block layer: another process serves its disk by vhost-user: count the I/Os there (SPDK: bdev_get_iostat). Metrics that need it are missing or too low; CPU time, waits and affinity of the threads are complete.",
  ]);
});
