import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseDomjobinfo } from '../../probes/virsh-domjobinfo.ts';
import { ROOT } from '../../testing/daemon.ts';
import { testRobustness } from './robustness.ts';

/** Captured during a live migration between two libvirtds, version 9.0. */
const captured = (name: string): string =>
  readFileSync(`${ROOT}test/fixtures/libvirt/domjobinfo-9.0${name}.txt`, 'utf8');

test('a migration as libvirt reports it has the numbers of QEMU', () => {
  // QMP's query-migrate at the same moment: dirty-pages-rate 253, page-size 4096, mbps 8.53776, expected-downtime 798.
  assert.deepEqual(parseDomjobinfo(captured('-raw')), {
    status: 'active',
    operation: 'outgoing',
    hasPages: true,
    memory: {
      total: 67_305_472,
      transferred: 54_575_067,
      remaining: 167_936,
      dirtyRate: 253 * 4096,
      rate: 1_067_220,
    },
    expectedDowntime: 0.798,
    duration: 22.499,
    downtime: undefined,
  });
});

test('a virsh without --rawstats prints the same, rounded', () => {
  const raw = parseDomjobinfo(captured('-raw'));
  const words = parseDomjobinfo(captured(''));
  for (const field of ['total', 'transferred', 'remaining', 'dirtyRate', 'rate'] as const) {
    const [exact = 0, rounded = Number.NaN] = [raw?.memory?.[field], words?.memory?.[field]];
    assert.ok(Math.abs(rounded / exact - 1) < 1e-3, `${field}: ${rounded} instead of ${exact}`);
  }
  assert.deepEqual([words?.status, words?.operation, words?.expectedDowntime], ['active', 'outgoing', 0.798]);
});

test('a job that ended has a duration and the pause of the guest', () => {
  for (const form of ['-completed', '-raw-completed']) {
    const job = parseDomjobinfo(captured(form));
    assert.deepEqual(
      [job?.status, job?.operation, job?.duration, job?.downtime, job?.expectedDowntime],
      ['completed', 'incoming', 119.269, 0.038, undefined],
      form,
    );
  }
});

test('without a job there is nothing', () => {
  assert.equal(parseDomjobinfo(captured('-none')), undefined);
  assert.equal(parseDomjobinfo('Job type: 0\n\n'), undefined);
});

test('libvirt before 1.0.3 has no counts of pages, and none before 3.3 names the operation', () => {
  const job = parseDomjobinfo(
    `Job type:          Unbounded
Time elapsed:      1603 ms
Data processed:    47.004 MiB
Data remaining:    658.633 MiB
Data total:        1.125 GiB
Memory processed:  47.004 MiB
Memory remaining:  658.633 MiB
Memory total:      1.125 GiB
`,
  );
  const { memory, operation, hasPages } = job ?? {};
  assert.deepEqual(
    [operation, hasPages, memory?.dirtyRate, memory?.rate],
    [undefined, false, undefined, undefined],
  );
  assert.deepEqual([memory?.total, memory?.transferred], [1.125 * 1024 ** 3, 47.004 * 1024 ** 2]);
});

test('a dirty rate of 0 is unknown: QEMU may not have measured it', () => {
  const job = parseDomjobinfo(captured('-raw').replace('memory_dirty_rate: 253', 'memory_dirty_rate: 0'));
  assert.deepEqual([job?.memory?.dirtyRate, job?.expectedDowntime], [undefined, undefined]);
});

test('a job that handles no memory has none, and other text is no job', () => {
  assert.equal(parseDomjobinfo('Job type: 2\n\noperation: 9\ndisk_total: 4096\n')?.memory, undefined);
  assert.equal(parseDomjobinfo('Job type: 2\nmemory_total: -1\nmemory_processed: 1e9\n')?.memory, undefined);
  for (const text of ['', 'error: no domain\n', 'Job type: 77\n', 'Job type: Unbounded; rm\n'])
    assert.throws(() => parseDomjobinfo(text), { kind: 'malformed' }, text);
});

testRobustness('parseDomjobinfo', parseDomjobinfo, [captured(''), captured('-raw'), captured('-completed')]);
