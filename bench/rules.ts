import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { alertingFile, recordingFile } from '../alerts/rule-files.ts';
import { listeningPort } from '../exporter/cli/listening-port.ts';
import { startDemo } from './daemon.ts';
import { markdown, note } from './lab-host.ts';
import { median } from './statistics.ts';

// Measures the cost of the rules in Prometheus, for hosts with 50 VMs each. The hosts are one simulated host
// under many names, with a day of the series that the baseline rules query.

const VMS_PER_HOST = 50;
const INTERVAL_S = 15;
const DAY_S = 86_400;
const EXCESS = 'vm:kvm_excess_exits:per_vcpu';

const { values: options } = parseArgs({
  options: { hosts: { type: 'string', default: '5,20' }, minutes: { type: 'string', default: '6' } },
});

const demo = await startDemo('quiet');
/** All hosts share one collection while it is current. */
let last: { readonly at: number; readonly text: Promise<string> } | undefined;
const proxy = createServer((_request, response) => {
  void current().then((text) => response.setHeader('content-type', 'text/plain; version=0.0.4').end(text));
});
await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
const { port } = proxy.address() as AddressInfo;
const rows: string[][] = [['VMs', 'group', 'rules', 'ms an evaluation', 'us a VM', 'series it gives']];
const totals: string[][] = [
  [
    'VMs',
    'series scraped',
    'CPU without rules, cores',
    'CPU of the rules, cores',
    'CPU us a VM and evaluation',
    'RSS MiB without rules',
    'RSS MiB with rules',
  ],
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
  // Rules that run every five minutes run every minute here, so that there is enough to measure.
  const groups = [...recordingFile().groups, ...alertingFile().groups].map((group) => ({
    ...group,
    ...(group.interval === undefined ? {} : { interval: '1m' }),
  }));
  writeFileSync(join(folder, 'rules.json'), JSON.stringify({ groups }));
  const withRules = await startPrometheus(folder, names, join(folder, 'data'), [join(folder, 'rules.json')]);
  // A second Prometheus scrapes the same targets without rules. The difference of the CPU times is the cost
  // of the rules, whatever the load of this machine.
  const without = await startPrometheus(folder, names, join(folder, 'other'), []);
  const half = (Number(options.minutes) * 60_000) / 2;
  // Fill the head with the widest rate window before measuring.
  await sleep(half);
  const before = [await withRules.metrics(), await without.metrics()] as const;
  const durations = new Map<string, number[]>();
  for (let waited = 0; waited < half; waited += INTERVAL_S * 1000) {
    await sleep(INTERVAL_S * 1000);
    for (const [key, value] of await withRules.metrics()) {
      const group = /^prometheus_rule_group_last_duration_seconds\{rule_group="[^"]*;([^"]*)"\}$/.exec(
        key,
      )?.[1];
      if (group !== undefined) durations.set(group, [...(durations.get(group) ?? []), value]);
    }
  }
  const after = [await withRules.metrics(), await without.metrics()] as const;
  report(hosts, before, after, durations, half / 1000);
  await withRules.stop();
  await without.stop();
  process.off('exit', remove);
  remove();
}

type Own = ReadonlyMap<string, number>;

/** @returns Prometheus' own metrics by series */
async function startPrometheus(
  folder: string,
  targets: readonly string[],
  data: string,
  rules: readonly string[],
): Promise<{ metrics(): Promise<Own>; stop(): Promise<void> }> {
  const config = {
    global: { scrape_interval: `${INTERVAL_S}s`, evaluation_interval: `${INTERVAL_S}s` },
    rule_files: rules,
    scrape_configs: [
      {
        job_name: 'kvm-telemetry',
        static_configs: [{ targets }],
        relabel_configs: [
          { source_labels: ['__address__'], target_label: 'instance' },
          { target_label: '__address__', replacement: `127.0.0.1:${port}` },
        ],
      },
    ],
  };
  const file = join(folder, `${basename(data)}.json`);
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(
    'prometheus',
    [`--config.file=${file}`, `--storage.tsdb.path=${data}`, '--web.listen-address=127.0.0.1:0'],
    { stdio: 'ignore' },
  );
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  const own = await listeningPort(child);
  if (own === undefined) throw new Error('Prometheus has ended');
  return {
    async metrics() {
      const text = await (await fetch(`http://127.0.0.1:${own}/metrics`)).text();
      const samples = text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm);
      return new Map([...samples].map(([, name = '', value]) => [name, Number(value)]));
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      kill();
      await ended;
      process.off('exit', kill);
    },
  };
}

/** Writes blocks with a day of the one recorded series that has a window of a day, for each VM. */
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

function report(
  hosts: number,
  [before, otherBefore]: readonly [Own, Own],
  [after, otherAfter]: readonly [Own, Own],
  durations: ReadonlyMap<string, readonly number[]>,
  seconds: number,
): void {
  const vms = hosts * VMS_PER_HOST;
  const grown = (name: string, from: Own, to: Own): number =>
    (to.get(name) ?? Number.NaN) - (from.get(name) ?? Number.NaN);
  for (const { name, rules } of [...recordingFile().groups, ...alertingFile().groups]) {
    const [key = ''] = [...after.keys()].filter((each) => each.endsWith(`;${name}"}`));
    const group = key.slice(key.indexOf('{'));
    const failed = grown(`prometheus_rule_evaluation_failures_total${group}`, before, after);
    if (failed > 0) throw new Error(`${failed} evaluations of ${name} failed`);
    const duration = median(durations.get(name) ?? []);
    rows.push([
      String(vms),
      name,
      String(rules.length),
      (duration * 1000).toFixed(0),
      ((duration * 1e6) / vms).toFixed(0),
      String(after.get(`prometheus_rule_group_last_evaluation_samples${group}`)),
    ]);
  }
  const cpu = grown('process_cpu_seconds_total', before, after) / seconds;
  const other = grown('process_cpu_seconds_total', otherBefore, otherAfter) / seconds;
  const mib = (own: Own): number => (own.get('process_resident_memory_bytes') ?? Number.NaN) / 2 ** 20;
  totals.push([
    String(vms),
    String(otherAfter.get('prometheus_tsdb_head_series')),
    other.toFixed(3),
    (cpu - other).toFixed(3),
    (((cpu - other) * INTERVAL_S * 1e6) / vms).toFixed(0),
    mib(otherAfter).toFixed(0),
    mib(after).toFixed(0),
  ]);
  note(`${hosts} hosts: ${((cpu - other) * 100).toFixed(1)}% of a core for rules`);
}
