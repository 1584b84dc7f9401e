import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBlockstats } from '../../probes/qmp-blockstats.ts';
import { devicePath } from '../../probes/qmp-qom.ts';
import { parseStatsSchemas, parseVcpuStats, parseVmStats } from '../../probes/qmp-stats.ts';
import { captured } from '../../testing/captured.ts';

function reply(query: string): unknown {
  return (JSON.parse(captured(`qmp/vm-a/query-${query}.json`)) as { return: unknown }).return;
}

function vcpu(stats: unknown): unknown {
  return [{ provider: 'kvm', 'qom-path': '/machine/unattached/device[0]', stats }];
}

test('the schema distinguishes counters, gauges, peaks and histograms', () => {
  const types = parseStatsSchemas(reply('stats-schemas'));
  assert.equal(types.get('exits'), 'cumulative');
  assert.equal(types.get('blocking'), 'instant');
  assert.equal(types.get('max_mmu_rmap_size'), 'peak');
  assert.equal(types.get('halt_wait_hist'), 'log2-histogram');
});

test('an unknown type is kept as unknown; other providers are not queried', () => {
  const schema = (provider: string, name: string, type: string): object => ({
    provider,
    target: 'vcpu',
    stats: [{ name, type }],
  });
  const types = parseStatsSchemas([
    schema('kvm', 'sketch', 'quantile-sketch'),
    schema('cryptodev', 'exits', 'peak'),
    schema('kvm', 'Bad Name\n', 'peak'),
    schema('kvm', '__proto__', 'peak'),
  ]);
  assert.deepEqual([...types], [['sketch', 'unknown']]);
});

test('vCPUs are identified by path, not by the order of the reply', () => {
  const vcpus = parseVcpuStats(reply('stats.vcpu'));
  assert.deepEqual(
    vcpus.map(({ qomPath }) => qomPath),
    ['/machine/unattached/device[2]', '/machine/unattached/device[0]'],
  );
  assert.equal(vcpus[0]?.values.get('halt_exits'), 15700);
  assert.equal(
    vcpus[0]?.values.get('blocking'),
    Number(vcpus[0]?.values.get('blocking')),
    'a boolean is 0 or 1',
  );
  assert.equal(vcpus[1]?.histograms.get('halt_wait_hist')?.length, 32);
});

test('a statistic of an unknown form is ignored; the others stay', () => {
  const [result] = parseVcpuStats(
    vcpu([
      null,
      7,
      { name: 'exits', value: 5 },
      { name: 'flag', value: true },
      { name: 'text', value: 'x' },
      { name: 'tree', value: { a: 1 } },
      { name: 'below', value: -1 },
      { name: 'endless', value: Number.POSITIVE_INFINITY },
      { name: 'absurd', value: 1e300 },
      { name: 'hist', value: [1, 2, 3] },
      { name: 'bad_hist', value: [1, -2] },
      { name: 'mixed_hist', value: [1, 'x'] },
      { name: 'long_hist', value: Array(5000).fill(1) },
      { name: 'UPPER', value: 1 },
      { name: 'a'.repeat(65), value: 1 },
      { value: 1 },
    ]),
  );
  assert.deepEqual(Object.fromEntries(result?.values ?? []), { exits: 5, flag: 1 });
  assert.deepEqual(Object.fromEntries(result?.histograms ?? []), { hist: [1, 2, 3] });
});

test('lists above the limit are refused', () => {
  const many = Array.from({ length: 501 }, (_, i) => ({ name: `s${i}`, value: i }));
  assert.throws(() => parseVcpuStats(vcpu(many)), { kind: 'malformed' });
  assert.throws(() => parseVcpuStats(Array(4097).fill({ provider: 'kvm', stats: [] })), {
    kind: 'malformed',
  });
  assert.throws(() => parseStatsSchemas([{ provider: 'kvm', target: 'vm', stats: Array(501).fill({}) }]), {
    kind: 'malformed',
  });
});

test('a VM without statistics of KVM (TCG, an old kernel) has none', () => {
  assert.equal(parseVmStats([]).values.size, 0);
  assert.equal(parseVmStats([{ provider: 'cryptodev', stats: [{ name: 'x', value: 1 }] }]).values.size, 0);
  assert.deepEqual(parseVcpuStats([]), []);
});

test('the counters of a disk are read by kind of operation', () => {
  const stats = {
    rd_operations: 1,
    rd_bytes: 2,
    rd_total_time_ns: 3,
    rd_merged: 4,
    failed_rd_operations: 5,
    wr_operations: 6,
    flush_operations: 7,
    unmap_operations: 8,
    invalid_wr_operations: 9,
    rd_latency_histogram: { boundaries: [10, 100], bins: [1, 2, 3] },
  };
  const [disk] = parseBlockstats([{ device: 'd', 'node-name': 'n', qdev: 'q', stats }]);
  const latency = { boundaries: [10, 100], bins: [1, 2, 3] };
  assert.deepEqual(disk?.read, {
    operations: 1,
    bytes: 2,
    timeNs: 3,
    merged: 4,
    failed: 5,
    invalid: 0,
    latency,
  });
  assert.deepEqual([disk?.write.operations, disk?.write.invalid], [6, 9]);
  assert.deepEqual([disk?.flush.operations, disk?.discard?.operations], [7, 8]);
});

for (const [what, histogram] of Object.entries({
  'one bin too few': { boundaries: [10, 100], bins: [1, 2] },
  'equal bounds': { boundaries: [10, 10], bins: [1, 2, 3] },
  'falling bounds': { boundaries: [100, 10], bins: [1, 2, 3] },
  'negative bins': { boundaries: [10], bins: [1, -2] },
  'bins without end': { boundaries: [10], bins: [1, 1e308] },
  'bounds that are equal in seconds': { boundaries: [2 ** 53 - 2, 2 ** 53 - 1], bins: [1, 1, 1] },
  'too many bounds': { boundaries: Array.from({ length: 300 }, (_, i) => i), bins: Array(301).fill(1) },
})) {
  test(`a latency histogram with ${what} is dropped; the others stay`, () => {
    const stats = { rd_operations: 1, rd_latency_histogram: histogram };
    const [disk] = parseBlockstats([{ stats }]);
    assert.equal(disk?.read.operations, 1);
    assert.equal(disk?.read.latency, undefined);
  });
}

test("only a guest device's path leads to its properties", () => {
  assert.equal(devicePath('/machine/peripheral/vda/virtio-backend'), '/machine/peripheral/vda');
  assert.equal(devicePath('/machine/peripheral-anon/device[0]'), '/machine/peripheral-anon/device[0]');
  // As QEMU 7.2 names a scsi-hd with an id.
  assert.equal(devicePath('hd0'), '/machine/peripheral/hd0');
  for (const path of [
    '',
    '/',
    '/objects/secret0',
    '/machine/peripheral',
    '/x/machine/peripheral/vda',
    `/machine/peripheral/${'a'.repeat(200)}`,
  ])
    assert.equal(devicePath(path), undefined, path);
});
