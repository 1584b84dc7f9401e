import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryArchive } from '../../../exporter/compare/memory-archive.ts';
import type { Period } from '../../../exporter/compare/periods.ts';
import { keyOf, type Subject } from '../../../exporter/compare/subject.ts';
import { techniqueTimes } from '../../../exporter/compare/techniques.ts';
import { hiddenIo } from '../../../exporter/compare/visibility.ts';

const INTERVAL = 15;
const WEB = { vm: 'web', cluster: '', job: 'kvm', instance: 'kvm1:9954' };
const SUBJECT: Subject = { ...WEB, key: keyOf(WEB) };
const period = (name: string, start: number, end: number): Period => ({
  name,
  spans: new Map([[SUBJECT.key, [{ start, end }]]]),
});
const BEFORE = period('before', 1000, 1300);
const AFTER = period('after', 1400, 1700);

/** A sample every 15 s. */
function series(metric: string, labels: Readonly<Record<string, string>>, valueAt: (at: number) => number) {
  const times = Array.from({ length: 60 }, (_, i) => 900 + i * INTERVAL);
  return { labels: { __name__: metric, ...WEB, ...labels }, times, values: times.map(valueAt) };
}

test('the seconds of a technique in each state are those of its samples within the period', async () => {
  const state = (technique: string, name: string, valueAt: (at: number) => number) =>
    series('kvm_vm_technique_state', { technique, state: name }, valueAt);
  const archive = new MemoryArchive('memory', [
    state('exitless_polling', 'off', (at) => Number(at < 1500)),
    state('exitless_polling', 'in_force', (at) => Number(at >= 1500)),
    state('of a later version', 'off', () => 1),
    state('affinity', 'of a later version', () => 1),
  ]);
  const times = await techniqueTimes(archive, [SUBJECT], [BEFORE, AFTER], INTERVAL);
  const before = times.get(BEFORE);
  assert.deepEqual([...(before?.keys() ?? [])], ['exitless_polling']);
  const [off, changed] = [before, times.get(AFTER)].map((each) => each?.get('exitless_polling'));
  assert.deepEqual([...(off?.keys() ?? [])], ['off']);
  assert.ok(Math.abs((off?.get('off') ?? 0) - 300) <= INTERVAL);
  assert.ok(Math.abs((changed?.get('off') ?? 0) - 100) <= INTERVAL);
  assert.ok(Math.abs((changed?.get('in_force') ?? 0) - 200) <= INTERVAL);
});

test('the reasons for hidden I/O are known for the periods with them', async () => {
  const hidden = (what: string, reason: string, valueAt: (at: number) => number) =>
    series('kvm_vm_visibility', { what, reason }, valueAt);
  const archive = new MemoryArchive('memory', [
    hidden('kicks', 'vfio_disk', () => 0),
    hidden('block', 'vfio_disk', () => 0),
    hidden('kicks', 'of a later version', () => 0),
    hidden('of a later version', 'vfio_disk', () => 0),
  ]);
  const found = await hiddenIo(archive, [SUBJECT], [BEFORE], INTERVAL);
  const [[reason, { sights, vms }] = assert.fail()] = [...(found.get(BEFORE) ?? [])];
  assert.deepEqual([reason, [...sights].sort(), [...vms]], ['vfio_disk', ['block', 'kicks'], ['web']]);
  const nowhere = await hiddenIo(archive, [SUBJECT], [period('later', 9000, 9900)], INTERVAL);
  assert.equal(nowhere.size, 0);
});
