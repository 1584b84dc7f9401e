import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Daemon } from '../../testing/daemon.ts';
import { libvirtHost } from '../../testing/libvirt-host.ts';
import { parseSamples, sample } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';

const ANSWER = `cat <<'END'
Domain: 'web'
  state.state=1
  vcpu.0.exits.sum=7
END`;
/** Responds once a file exists. Until then libvirt hangs. */
const WAITING = `: > asked; while [ ! -e go ]; do sleep 0.05; done; ${ANSWER}`;
/** The test is not about libvirt's own time limit. */
const FLAGS = ['--libvirt.timeout-seconds=30'];

const scrape = async (daemon: Daemon, seconds: number): Promise<string> => {
  const headers = { 'x-prometheus-scrape-timeout-seconds': String(seconds) };
  return (await daemon.get('/metrics', headers)).text();
};

test('scrapers with short timeouts do not empty the scrape of a patient one', {
  timeout: 120_000,
}, async (context) => {
  const host = libvirtHost(context, ['web'], WAITING);
  const daemon = await host.start(FLAGS);
  const hurried = [4, 3, 2, 1].map((seconds) => scrape(daemon, seconds));
  await until(() => existsSync(join(host.folder, 'asked')));
  const patient = scrape(daemon, 60);
  for (const text of await Promise.all(hurried)) {
    assert.equal(sample(parseSamples(text), 'kvm_telemetry_collector_success', { collector: 'libvirt' }), 0);
  }
  writeFileSync(join(host.folder, 'go'), '');
  const samples = parseSamples(await patient);
  assert.equal(sample(samples, 'kvm_vm_exits_total', { vm: 'web' }), 7);
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'libvirt' }), 1);
  assert.deepEqual(
    daemon.log.filter(({ collector }) => collector === 'libvirt'),
    [],
    'an intended cut is not logged',
  );
});

test('a flood of scrapers with tiny timeouts empties no other scrape and does not fill the log', {
  timeout: 120_000,
}, async (context) => {
  const host = libvirtHost(context, ['web'], `sleep 0.1; ${ANSWER}`);
  const daemon = await host.start(FLAGS);
  let isOver = false;
  context.after(() => {
    isOver = true;
  });
  const hurry = async (seconds: number): Promise<void> => {
    while (!isOver) await scrape(daemon, seconds);
  };
  const flood = [0.05, 0.03, 0.02, 0.01, 0.005, 0.001].map(hurry);
  for (let i = 0; i < 10; i++) {
    const samples = parseSamples(await scrape(daemon, 60));
    assert.equal(sample(samples, 'kvm_vm_exits_total', { vm: 'web' }), 7);
  }
  isOver = true;
  await Promise.all(flood);
  assert.deepEqual(
    daemon.log.filter(({ level }) => Number(level) > 30).map(({ reason }) => reason),
    [],
  );
});
