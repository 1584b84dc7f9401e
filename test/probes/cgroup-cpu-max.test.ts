import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCpuMax, readCpuQuota } from '../../probes/cgroup-cpu-max.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

test('v2 has quota and period in one file; max is no limit', () => {
  assert.deepEqual(parseCpuMax('20000 100000\n'), { quota: 20_000, period: 100_000 });
  assert.deepEqual(parseCpuMax('max 100000\n'), { quota: undefined, period: 100_000 });
  for (const text of ['', 'max\n', '1 2 3\n', '-1 100000\n', '20000 100000'])
    assert.throws(() => parseCpuMax(text), /cpu\.max/);
});

test('v1 has two files; -1 is no limit', (context) => {
  const { host, write, folder } = hostTree(context);
  write('g/cpu.cfs_quota_us', '50000\n');
  write('g/cpu.cfs_period_us', '100000\n');
  assert.deepEqual(readCpuQuota(host, `${folder}/g`), { quota: 50_000, period: 100_000 });
  write('g/cpu.cfs_quota_us', '-1\n');
  assert.deepEqual(readCpuQuota(host, `${folder}/g`), { quota: undefined, period: 100_000 });
  write('g/cpu.cfs_quota_us', 'some\n');
  assert.throws(() => readCpuQuota(host, `${folder}/g`), /cfs_quota_us/);
});

test('a cgroup without the cpu controller has no quota', (context) => {
  const { host, folder } = hostTree(context);
  assert.equal(readCpuQuota(host, `${folder}/g`), undefined);
});

testRobustness('parseCpuMax', parseCpuMax, ['20000 100000\n', 'max 100000\n']);
