import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { libvirtHost } from '../../testing/libvirt-host.ts';
import { parseSamples, sample, series } from '../../testing/metrics.ts';

const LONG = { timeout: 120_000 };
const PRINT = 'cat domstats';
const FLAGS = ['--libvirt.timeout-seconds=30'];
const SCRAPE = { 'x-prometheus-scrape-timeout-seconds': '100' };

function domain(name: string, vcpus: number): string {
  let text = `Domain: '${name}'\n  state.state=1\n`;
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    for (let i = 0; i < 64; i++) text += `  vcpu.${vcpu}.statistic_number_${i}.sum=${1e12 + i}\n`;
    text += `  vcpu.${vcpu}.exits.sum=5\n`;
  }
  return text;
}

const peakMiB = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

test('the daemon reads 42 MB of domstats in bounded memory', LONG, async (context) => {
  const host = libvirtHost(context, ['web'], PRINT);
  const text = Array.from({ length: 1000 }, (_, i) => domain(`other-${i}`, 16)).join('') + domain('web', 2);
  assert.ok(text.length > 40_000_000);
  writeFileSync(join(host.folder, 'domstats'), text);
  const daemon = await host.start(FLAGS);
  const before = peakMiB(daemon.pid);
  const samples = parseSamples(await (await daemon.get('/metrics', SCRAPE)).text());
  assert.equal(sample(samples, 'kvm_vm_exits_total', { vm: 'web' }), 10);
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'libvirt' }), 1);
  const grown = peakMiB(daemon.pid) - before;
  assert.ok(grown < 200, `${grown} MiB more`);
});

test('a domain that is too large loses only its own data, and is named in the log', LONG, async (context) => {
  const host = libvirtHost(context, ['web', 'large'], PRINT);
  writeFileSync(join(host.folder, 'domstats'), domain('large', 2500) + domain('web', 2));
  const daemon = await host.start(FLAGS);
  const samples = parseSamples(await (await daemon.get('/metrics', SCRAPE)).text());
  assert.equal(sample(samples, 'kvm_vm_exits_total', { vm: 'web' }), 10);
  assert.equal(sample(samples, 'kvm_vm_source_up', { vm: 'large', source: 'libvirt' }), 0);
  assert.equal(series(samples, 'kvm_vm_exits_total', { vm: 'large' }).length, 0);
  const reasons = daemon.log
    .filter(({ collector }) => collector === 'libvirt')
    .map(({ reason }) => String(reason));
  assert.equal(reasons.length, 1);
  assert.match(reasons[0] ?? '', /^domain large has more than /);
});
