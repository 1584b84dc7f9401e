import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { recordedAllowList } from '../scripts/fleet.ts';
import { freePort, Programs, reachable, startAgent, writeTargets } from './fleet-processes.ts';
import { markdown, note } from './lab-host.ts';
import { cpuSeconds, memory } from './process-cost.ts';

// Memory and CPU time of a store while a fleet writes to it: the recorded series of many hosts, through vmagent into
// VictoriaMetrics and into Prometheus.

const { values: options } = parseArgs({
  options: {
    hosts: { type: 'string', default: '50,100' },
    vms: { type: 'string', default: '50' },
    interval: { type: 'string', default: '15' },
    minutes: { type: 'string', default: '6' },
  },
});
const VMS = Number(options.vms);
const INTERVAL = Number(options.interval);
/** Recorded series of a VM and of a host, as measured by fleet-capacity. */
const OF_VM = 42;
const OF_HOST = 41;
const NAMES = recordedAllowList();
const VM_NAMES = NAMES.filter((name) => name.startsWith('vm'));
const HOST_NAMES = NAMES.filter((name) => name.startsWith('host'));

interface Store {
  readonly name: string;
  readonly health: string;
  readonly args: (port: number, folder: string) => readonly string[];
}

const STORES: readonly Store[] = [
  {
    name: 'victoria-metrics',
    health: 'health',
    args: (port, folder) => [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${folder}`,
      '-retentionPeriod=1',
    ],
  },
  {
    name: 'prometheus',
    health: '-/ready',
    args: (port, folder) => [
      '--config.file=/dev/null',
      '--web.enable-remote-write-receiver',
      `--storage.tsdb.path=${folder}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
  },
];

exitBySignal();
const { path: top, remove } = memoryFolder('kvm-telemetry-store-');
process.once('exit', remove);
const rows = [
  [
    'store',
    'hosts',
    'thousand series',
    'samples/s',
    'MiB before',
    'MiB',
    'KiB a series',
    'cores of the store',
  ],
];
for (const hosts of options.hosts.split(',').map(Number))
  for (const store of STORES) {
    note(`${hosts} hosts into ${store.name}`);
    rows.push(await measured(store, hosts));
  }
process.stdout.write(markdown(rows));

async function measured({ name, health, args }: Store, hosts: number): Promise<string[]> {
  const folder = `${top}/${name}-${hosts}`;
  const programs = new Programs(top);
  let samples = 0;
  const exporters = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/plain; version=0.0.4');
    samples += OF_HOST + VMS * OF_VM;
    response.end(page());
  });
  exporters.listen(0, '127.0.0.1');
  await new Promise((resolve) => exporters.once('listening', resolve));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const pid = programs.start(name, args(port, folder)).pid ?? 0;
  await reachable(`${url}/${health}`);
  const before = memory(pid).rssMiB;
  writeTargets(
    top,
    (exporters.address() as AddressInfo).port,
    Array.from({ length: hosts }, (_, host) => `/${host}`),
  );
  startAgent(programs, 'vmagent', await freePort(), {
    folder: top,
    interval: INTERVAL,
    cluster: 'east',
    store: url,
  });
  // Every host was scraped at least once.
  await sleep(2 * INTERVAL * 1000);
  const [cpu, from, began] = [cpuSeconds(pid), samples, performance.now()];
  await sleep(Number(options.minutes) * 60_000);
  const seconds = (performance.now() - began) / 1000;
  const series = hosts * (OF_HOST + VMS * OF_VM);
  const { rssMiB } = memory(pid);
  const row = [
    name,
    String(hosts),
    (series / 1000).toFixed(0),
    ((samples - from) / seconds).toFixed(0),
    before.toFixed(0),
    rssMiB.toFixed(0),
    (((rssMiB - before) * 1024) / series).toFixed(2),
    ((cpuSeconds(pid) - cpu) / seconds).toFixed(2),
  ];
  await programs.stopAll();
  exporters.closeAllConnections();
  exporters.close();
  return row;
}

/** The recorded series of a host, with values that change. */
function page(): string {
  const lines: string[] = [];
  const some = (names: readonly string[], count: number, labels: string): void => {
    for (let i = 0; i < count; i++)
      lines.push(
        `${names[i % names.length]}{${labels}part="${i}"} ${(1000 * Math.random()).toPrecision(4)}\n`,
      );
  };
  some(HOST_NAMES, OF_HOST, '');
  for (let vm = 0; vm < VMS; vm++) some(VM_NAMES, OF_VM, `vm="vm${vm}",`);
  return lines.join('');
}
