// Makes docs/page-dark.png and docs/page-vm-light.png: the live page of a simulated host with a VM that goes
// through the stages, an exit storm and drifting threads. Needs chromium; takes two and a half minutes.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { ready, root } from './prepare.mjs';

ready();
const load = (name) => import(`${root}dist/${name}.js`);
const { SimulatedHost } = await load('lab/simhost/host');
const { resolveConfig } = await load('exporter/config/load');
const { createOwnMetrics } = await load('exporter/daemon/own-metrics');
const { readBuild } = await load('exporter/cli/build');
const { serve } = await load('exporter/daemon/serve');
const { Telemetry } = await load('exporter/daemon/telemetry');

const STEPS = [
  ['affinity', 50_000],
  ['exitless_polling', 85_000],
];
const VMS = [
  { name: 'db-primary', configuration: 'affinity', disks: ['nvme0n1'], libvirt: true, vhostNet: true },
  { name: 'db-replica', configuration: 'pinned_queues', disks: ['nvme1n1'], libvirt: true },
  { name: 'web-1', configuration: 'original', disks: ['nvme2n1'], iops: 9000, vhostNet: true },
  { name: 'web-2', configuration: 'affinity', disks: ['nvme3n1'], iops: 14_000, vhostNet: true },
  { name: 'kv-cache', configuration: 'parallel_batching', disks: ['nvme4n1'] },
  { name: 'mail', configuration: 'affinity', disks: ['nvme5n1'], iops: 2500, vhostNet: true },
];
const disks = VMS.map(({ disks: [name] }, i) => ({ name, kind: 'nvme', node: i % 2, hardwareQueues: 16 }));
const host = new SimulatedHost({
  seed: 7,
  cpus: 64,
  disks,
  vms: VMS,
  startTime: Math.floor(Date.now() / 1000),
});
const rootfs = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kvm-telemetry-pictures-'));
host.step(1);
host.writeTo(rootfs);
host.addProcess(process.pid, 'node');
await host.serve();
const life = setInterval(() => host.step(1), 1000);

const flags = {
  'path.rootfs': rootfs,
  'state.dir': `${rootfs}/state`,
  'web.listenAddress': '127.0.0.1:0',
  'inventory.schedule': '*/4 * * * * *',
  'web.grafanaUrl': 'https://grafana.example.org',
};
const config = resolveConfig(flags, {}, {});
const say = (...entry) => console.error(...entry);
const quiet = () => undefined;
const logger = { level: 'warn', info: quiet, debug: quiet, warn: quiet, error: say, fatal: say };
const own = createOwnMetrics();
const telemetry = new Telemetry(config, { logger, own, build: readBuild({}, true), learns: true });
const running = await serve(config, { telemetry, own, logger, readConfig: () => config });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const open = async (path, colorScheme, height) => {
    const page = await browser.newPage({ viewport: { width: 1280, height }, colorScheme });
    await page.goto(`http://127.0.0.1:${running.port}${path}`);
    return page;
  };
  const table = await open('/', 'dark', 490);
  const vm = await open('/#/vm/db-primary', 'light', 1780);
  for (const [stage, ms] of STEPS) {
    host.configure('db-primary', stage);
    await sleep(ms);
  }
  host.faults.exitStorm('web-1', 80_000);
  host.faults.drift('db-primary', 'shared_cpu');
  host.faults.drift('web-2', 'other_node');
  await sleep(12_000);
  await table.mouse.move(5, 5);
  await sleep(1500);
  await table.screenshot({ path: `${root}docs/page-dark.png` });
  await vm.screenshot({ path: `${root}docs/page-vm-light.png` });
} finally {
  await browser.close();
  await running.stop();
  clearInterval(life);
  host.close();
  rmSync(rootfs, { recursive: true, force: true });
}
