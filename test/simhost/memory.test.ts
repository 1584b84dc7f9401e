import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedHost } from '../../lab/simhost/host.ts';
import { sample, series } from '../../testing/metrics.ts';
import { once, served, steps } from '../../testing/simulated.ts';

test('a live migration by the monitor, and memory in swap', async (context) => {
  const vms = ['db', 'web'].map((name) => ({ name, configuration: 'affinity' as const, memoryMiB: 1024 }));
  const host = new SimulatedHost({ seed: 1, vms });
  const rootfs = await served(context, host);
  host.faults.migrate('db', true);
  host.faults.swap('web', 0.5);
  steps(host, 3);
  const samples = await once(rootfs, ['--trace.backend=off', '--qmp.timeout-seconds=10']);
  const db = { vm: 'db' };
  assert.equal(sample(samples, 'kvm_vm_migration_info', { ...db, status: 'active' }), 1);
  assert.equal(sample(samples, 'kvm_vm_migration_total_bytes', db), 2 ** 30);
  assert.equal(sample(samples, 'kvm_vm_migration_remaining_bytes', db), 2 ** 29);
  assert.equal(sample(samples, 'kvm_vm_migration_dirty_bytes_per_second', db), 48_828 * 4096);
  assert.equal(sample(samples, 'kvm_vm_migration_sent_bytes_per_second', db), 1e9);
  assert.equal(sample(samples, 'kvm_vm_migration_expected_downtime_seconds', db), 0.3);
  assert.deepEqual(series(samples, 'kvm_vm_migration_info', { vm: 'web' }), []);
  assert.equal(sample(samples, 'kvm_vm_memory_swapped_bytes', { vm: 'web' }), 96 * 2 ** 20);
  assert.equal(sample(samples, 'kvm_vm_memory_swapped_bytes', db), 0);
  assert.equal(sample(samples, 'kvm_host_swapped_pages_total', { direction: 'in' }), 0);
  assert.equal(sample(samples, 'kvm_host_numa_pages_migrated_total', {}), 0);
});
