// Makes docs/picture.png: a real guest on /dev/kvm that is pinned, then shares its CPU, then is moved away,
// as recorded by the real exporter and Prometheus. Needs qemu-system-x86, prometheus, chromium; takes two and
// a half minutes. Run as root.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ready, root } from './prepare.mjs';

ready();
const { startGuest } = await import('../dist/testing/qemu.js');

const EXPORTER = '127.0.0.1:9964';
const PROMETHEUS = '127.0.0.1:9965';
const PHASE_MS = 40_000;
const QUERIES = [
  'rate(kvm_thread_run_seconds_total{vm="db",thread="vcpu0"}[10s])',
  'rate(kvm_thread_wait_seconds_total{vm="db",thread="vcpu0"}[10s])',
];

const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-picture-'));
const children = [];
const guests = [];
try {
  writeFileSync(
    join(folder, 'prometheus.yml'),
    `global: { scrape_interval: 2s, scrape_timeout: 2s }\nscrape_configs: [{ job_name: kvm-telemetry, static_configs: [{ targets: ["${EXPORTER}"] }] }]\n`,
  );
  children.push(
    spawn(process.execPath, [`${root}dist/exporter/main.js`, 'serve', `--web.listen-address=${EXPORTER}`]),
  );
  children.push(
    spawn('prometheus', [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${PROMETHEUS}`,
    ]),
  );
  const db = start('db');
  pin(db, 0);
  await sleep(PHASE_MS);
  const neighbour = start('neighbour');
  pin(neighbour, 0);
  await sleep(PHASE_MS);
  pin(db, 1);
  await sleep(PHASE_MS);

  const parameters = QUERIES.flatMap((query, i) => [
    `g${i}.expr=${encodeURIComponent(query)}`,
    `g${i}.tab=0`,
    `g${i}.range_input=2m`,
    `g${i}.step_input=2`,
  ]);
  execFileSync('chromium', [
    ...[
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--hide-scrollbars',
    ],
    ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ...[`--user-data-dir=${folder}/chromium`, '--window-size=1100,1496', '--virtual-time-budget=15000'],
    `--screenshot=${root}docs/picture.png`,
    `http://${PROMETHEUS}/classic/graph?${parameters.join('&')}`,
  ]);
} finally {
  for (const guest of guests) guest.stop();
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

function start(name) {
  const guest = startGuest({ name, vcpus: 1 });
  guests.push(guest);
  return guest;
}

function pin({ pid }, cpu) {
  const tid = readdirSync(`/proc/${pid}/task`).find(
    (each) => readFileSync(`/proc/${pid}/task/${each}/comm`, 'utf8').trim() === 'CPU 0/KVM',
  );
  execFileSync('taskset', ['-pc', String(cpu), tid]);
}
