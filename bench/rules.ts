import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { alertingFile, recordingFile } from '../alerts/rule-files.ts';
import { baseline } from '../alerts/thresholds.ts';
import { freePort } from '../exporter/free-port.ts';
import { startDemo } from './daemon.ts';
import { markdown, note } from './lab-host.ts';

// What the rules cost a Prometheus: so many hosts with 50 VMs each, which are one simulated host under many names, with a
// day of the series that the baseline looks back on.

const VMS_PER_HOST = 50;
const INTERVAL_S = 15;
const DAY_S = 86_400;
const EXCESS = 'vm:kvm_excess_exits:per_vcpu';

const { values: options } = parseArgs({
  options: { hosts: { type: 'string', default: '5,20' }, minutes: { type: 'string', default: '6' } },
});

const demo = await startDemo('quiet');
/** One collection serves all hosts for as long as one lasts. */
let last: { readonly at: number; readonly text: Promise<string> } | undefined;
const proxy = createServer((_request, response) => {
  void current().then((text) => response.setHeader('content-type', 'text/plain; version=0.0.4').end(text));
});
await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
const { port } = proxy.address() as AddressInfo;
const rows: string[][] = [
  ['hosts', 'VMs', 'series', 'group', 'rules', 'ms an evaluation', 'us a VM', 'output series'],
];
const totals: string[][] = [
  ['VMs', 'rules: CPU of a core, at 15 s', 'all of Prometheus: CPU of a core', 'RSS MiB', 'KiB a VM'],
];
for (const hosts of options.hosts.split(',').map(Number)) await measure(hosts);
process.stdout.write(`${markdown(rows)}\n${markdown(totals)}`);
await demo.stop();
proxy.close();

function current(): Promise<string> {
  if (last === undefined || performance.now() - last.at > INTERVAL_S * 900) {
    const text = fetch(`http://127.0.0.1:${demo.port}/metrics`).then((response) => response.text());
    last = { at: performance.now(), text };
  }
  return last.text;
}

async function measure(hosts: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-rules-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const names = Array.from({ length: hosts }, (_, i) => `host${String(i).padStart(4, '0')}`);
  await writeDay(folder, names);
  note(`${hosts} hosts: a day of ${EXCESS} is there`);
  // What is evaluated each five minutes is measured by itself, once.
  const groups = [...recordingFile().groups, ...alertingFile().groups].map((group) => ({
    ...group,
    interval: group.name === 'kvm-telemetry-baseline' ? '1m' : `${INTERVAL_S}s`,
  }));
  writeFileSync(join(folder, 'rules.json'), JSON.stringify({ groups }));
  const config = {
    global: { scrape_interval: `${INTERVAL_S}s`, evaluation_interval: `${INTERVAL_S}s` },
    rule_files: [join(folder, 'rules.json')],
    scrape_configs: [
      {
        job_name: 'kvm-telemetry',
        static_configs: [{ targets: names }],
        relabel_configs: [
          { source_labels: ['__address__'], target_label: 'instance' },
          { target_label: '__address__', replacement: `127.0.0.1:${port}` },
        ],
      },
    ],
  };
  writeFileSync(join(folder, 'prometheus.json'), JSON.stringify(config));
  const own = await freePort();
  const prometheus = spawn(
    'prometheus',
    [
      ...[`--config.file=${folder}/prometheus.json`, `--storage.tsdb.path=${folder}/data`],
      `--web.listen-address=127.0.0.1:${own}`,
    ],
    { stdio: 'ignore' },
  );
  const kill = (): boolean => prometheus.kill('SIGKILL');
  process.once('exit', kill);
  // The head is filled with as much as the widest window of a rate before anything is measured.
  const half = (Number(options.minutes) * 60_000) / 2;
  await sleep(half);
  const before = await ownMetrics(own);
  await sleep(half);
  report(hosts, before, await ownMetrics(own), half / 1000);
  const ended = new Promise((resolve) => prometheus.once('exit', resolve));
  kill();
  await ended;
  process.off('exit', kill);
  remove();
}

/** A day of the one recorded series that is looked at over a day, for each VM, in blocks. */
async function writeDay(folder: string, hosts: readonly string[]): Promise<void> {
  const vms = [
    ...new Set([...(await current()).matchAll(/^kvm_vm_vcpus\{vm="([^"]+)"\}/gm)].map(([, vm]) => vm)),
  ];
  if (vms.length !== VMS_PER_HOST) throw new Error(`${vms.length} VMs in place of ${VMS_PER_HOST}`);
  const file = join(folder, 'day.om');
  const fd = openSync(file, 'w');
  const end = Math.floor(Date.now() / 1000) - INTERVAL_S;
  writeSync(fd, `# TYPE ${EXCESS} gauge\n`);
  for (const instance of hosts) {
    for (const vm of vms) {
      const name = `${EXCESS}{instance="${instance}",job="kvm-telemetry",vm="${vm}"} `;
      let text = '';
      for (let at = end - DAY_S; at < end; at += INTERVAL_S) text += `${name}${100 + (at % 97)} ${at}\n`;
      writeSync(fd, text);
    }
  }
  writeSync(fd, '# EOF\n');
  closeSync(fd);
  const made = ['tsdb', 'create-blocks-from', 'openmetrics', '-q', file, join(folder, 'data')];
  const { status, stderr } = spawnSync('promtool', made, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  rmSync(file);
}

type Own = ReadonlyMap<string, number>;

async function ownMetrics(own: number): Promise<Own> {
  const text = await (await fetch(`http://127.0.0.1:${own}/metrics`)).text();
  return new Map(
    [...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)].map(([, name = '', value]) => [
      name,
      Number(value),
    ]),
  );
}

function report(hosts: number, before: Own, after: Own, seconds: number): void {
  const vms = hosts * VMS_PER_HOST;
  const series = after.get('prometheus_tsdb_head_series') ?? Number.NaN;
  const grown = (name: string): number => (after.get(name) ?? Number.NaN) - (before.get(name) ?? 0);
  let share = 0;
  for (const { name, rules } of [...recordingFile().groups, ...alertingFile().groups]) {
    const label = [...after.keys()]
      .map((key) => /^prometheus_rule_evaluations_total\{rule_group="([^"]*)"\}/.exec(key)?.[1])
      .find((group) => group?.endsWith(`;${name}`));
    const duration =
      after.get(`prometheus_rule_group_last_duration_seconds{rule_group="${label}"}`) ?? Number.NaN;
    const samples = after.get(`prometheus_rule_group_last_evaluation_samples{rule_group="${label}"}`);
    const every =
      name === 'kvm-telemetry-baseline' ? Number.parseInt(baseline.resolution, 10) * 60 : INTERVAL_S;
    share += duration / every;
    rows.push([
      ...[String(hosts), String(vms), String(series), name, String(rules.length)],
      ...[(duration * 1000).toFixed(0), ((duration * 1e6) / vms).toFixed(0), String(samples)],
    ]);
    const failed = grown(`prometheus_rule_evaluation_failures_total{rule_group="${label}"}`);
    if (failed > 0) throw new Error(`${failed} evaluations of ${name} failed`);
  }
  const cpu = grown('process_cpu_seconds_total') / seconds;
  const rss = (after.get('process_resident_memory_bytes') ?? Number.NaN) / 2 ** 20;
  totals.push([
    ...[String(vms), share.toFixed(3), cpu.toFixed(2), rss.toFixed(0)],
    ((rss * 1024) / vms).toFixed(0),
  ]);
  note(`${hosts} hosts: ${(share * 100).toFixed(1)}% of a core for rules, ${rss.toFixed(0)} MiB`);
}
