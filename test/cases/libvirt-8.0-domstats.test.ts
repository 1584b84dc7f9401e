import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { caseText } from '../../testing/cases.ts';
import { libvirtHost } from '../../testing/libvirt-host.ts';
import { parseSamples, sample, series } from '../../testing/metrics.ts';

const CASE = 'libvirt-8.0-domstats';
const VM = { vm: 'instance-0000002a' };

test('a libvirt before 8.9 reports disks and IOThreads, and is up', { timeout: 180_000 }, async (context) => {
  const host = libvirtHost(context, [VM.vm], 'cat domstats');
  writeFileSync(join(host.folder, 'domstats'), caseText(CASE, 'domstats.txt'));
  const daemon = await host.start(['--libvirt.timeout-seconds=20']);
  const headers = { 'x-prometheus-scrape-timeout-seconds': '60' };
  const samples = parseSamples(await (await daemon.get('/metrics', headers)).text());
  assert.equal(sample(samples, 'kvm_vm_source_up', { ...VM, source: 'libvirt' }), 1);
  const vda = { ...VM, disk: 'vda' };
  assert.equal(sample(samples, 'kvm_vm_disk_reads_completed_total', vda), 8743);
  assert.equal(sample(samples, 'kvm_vm_disk_read_bytes_total', vda), 241664000);
  assert.equal(sample(samples, 'kvm_vm_disk_writes_completed_total', vda), 5120);
  assert.equal(sample(samples, 'kvm_vm_disk_flush_requests_total', vda), 900);
  assert.equal(
    sample(samples, 'kvm_iothread_poll_max_seconds', { ...VM, iothread: 'iothread1' }),
    0.000032768,
  );
  assert.equal(series(samples, 'kvm_vcpu_exits_total', VM).length, 0);
  assert.equal(series(samples, 'kvm_vm_exits_total', VM).length, 0, 'unknown is not 0');
});
