import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { LabHost } from '../lab/host.ts';
import { startExporter } from '../testing/lab.ts';
import { parseSamples, type Samples, series } from '../testing/metrics.ts';
import { emulatedCpus, inHosts, markdown, note } from './lab-host.ts';
import { median } from './statistics.ts';

// Compares the tracepoints' view of a real guest's I/O path before and after a change. The guest is stopped
// at both ends of a window, so that all readings are of the same time.

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const VM = 'vm-a';
const PORT = 9954;
/** Time for the guest to adapt after a change. */
const SETTLE_S = 2;
const WARM_UP_S = 8;

const EXITS = '/sys/kernel/debug/kvm/*-*/exits';
const SCRAPE = `wget -q -T 30 -O - http://127.0.0.1:${PORT}/metrics`;
/** Until the exits of a stopped guest no longer change. */
const STOP = `echo stop > /run/lab/${VM}.in
last=; for _ in {1..50}; do now=$(cat ${EXITS}); [ "$now" = "$last" ] && break; last=$now; sleep 0.3; done`;

/** kvm_stat's names of SVM exit reasons, if they differ from the kernel's. */
const IN_KVM_STAT: Readonly<Record<string, string>> = { interrupt: 'INTR', io: 'IOIO', hypercall: 'VMMCALL' };

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    // Number of boots. Each boot measures all settings.
    repeat: { type: 'string', default: '3' },
    only: { type: 'string', default: 'settings,agreement' },
    'kvm-stat': { type: 'string', default: '' },
  },
});
const seconds = Number(options.seconds);

interface Setting {
  /** I/Os in flight per vCPU. */
  readonly depth: number;
  /** poll-max-ns of the IOThread. */
  readonly polling: number;
  /** CPU of the IOThread. The vCPUs are on CPU 1. */
  readonly cpu: number;
}

const MS = 1_000_000;
const BASE: Setting = { depth: 1, polling: 32_768, cpu: 1 };
const POLLED: Setting = { ...BASE, polling: 10 * MS };
const UNPOLLED: Setting = { ...BASE, polling: 0 };
const ELSEWHERE: Setting = { ...BASE, cpu: 0 };
const ELSEWHERE_POLLED: Setting = { ...ELSEWHERE, polling: 10 * MS };
const ELSEWHERE_POLLED_SHORT: Setting = { ...ELSEWHERE, polling: MS };
const ELSEWHERE_UNPOLLED: Setting = { ...ELSEWHERE, polling: 0 };
/** As many settings as fit into the lifetime of an emulated host. */
const SETTINGS: readonly Setting[] = [
  BASE,
  ELSEWHERE,
  POLLED,
  ELSEWHERE_POLLED,
  UNPOLLED,
  ELSEWHERE_UNPOLLED,
  ELSEWHERE_POLLED_SHORT,
  { ...BASE, depth: 4 },
  { ...BASE, depth: 16 },
];

interface Measured {
  readonly setting: Setting;
  readonly seconds: number;
  /** Time that each CPU of the host waited for a CPU of this machine, as a share of the window. */
  readonly starved: readonly number[];
  readonly before: Samples;
  readonly after: Samples;
}

interface Guest {
  readonly host: LabHost;
  readonly iothread: string;
}

const parts = options.only.split(',');
if (parts.includes('settings')) {
  const boots: Measured[][] = [];
  await inHosts({}, async (host) => {
    // Measure all settings in the same boot; results of different boots are not comparable.
    const measured: Measured[] = [];
    const guest = await prepare(host);
    // The first seconds after a start are slower than the rest.
    await measure(guest, BASE, WARM_UP_S);
    for (const setting of SETTINGS) measured.push(await measure(guest, setting));
    boots.push(measured);
    return boots.length >= Number(options.repeat);
  });
  process.stdout.write(`### ${boots.length} boots: median (lowest to highest)\n\n${tables(boots.flat())}\n`);
}
if (parts.includes('agreement')) {
  await inHosts({}, async (host) => {
    process.stdout.write(await agreement(await prepare(host)));
    return true;
  });
}

async function prepare(host: LabHost): Promise<Guest> {
  const [pid] = await Promise.all([
    host.startGuest(VM),
    startExporter(host, `${ROOT}dist/exporter/main.js`, `127.0.0.1:${PORT}`),
  ]);
  const file = await host.output(`grep -lx 'IO io0' /proc/${pid}/task/*/comm`);
  const iothread = /task\/(\d+)\//.exec(file)?.[1] ?? '';
  note('guest and exporter are up');
  return { host, iothread };
}

async function apply({ host, iothread }: Guest, { depth, polling, cpu }: Setting): Promise<void> {
  await host.monitor(VM, `qom-set /objects/io0 poll-max-ns ${polling}`);
  await host.output(`taskset -pc ${cpu} ${iothread}`);
  await host.monitor(VM, 'cont');
  await host.load(VM, depth, 'read');
  await host.output(`sleep ${SETTLE_S}`);
}

/** Leaves the guest stopped. */
async function measure(guest: Guest, setting: Setting, length = seconds): Promise<Measured> {
  await apply(guest, setting);
  const { host } = guest;
  const before = parseSamples(await host.output(`${STOP}; ${SCRAPE}`));
  const waits = emulatedCpus(host.pid);
  const took = Number((await host.output(window(length))).trim());
  const starved = emulatedCpus(host.pid).map((ns, cpu) => (ns.wait - (waits[cpu]?.wait ?? 0)) / 1e9 / took);
  const after = parseSamples(await host.output(SCRAPE));
  note(
    `${JSON.stringify(setting)}: ${took} s, starved ${starved.map((share) => share.toFixed(2)).join(' ')}`,
  );
  return { setting, seconds: took, starved, before, after };
}

/** Prints how long the guest ran. */
function window(length: number): string {
  return `read -r from _ </proc/uptime; echo cont > /run/lab/${VM}.in; sleep ${length}
read -r to _ </proc/uptime; ${STOP}
awk "BEGIN { print $to - $from }"`;
}

/** Increase of a counter, summed over all its series with these labels. */
function grown({ before, after }: Measured, name: string, labels: Readonly<Record<string, string>>): number {
  const sum = (samples: Samples): number =>
    series(samples, name, { vm: VM, ...labels }).reduce((all, key) => all + (samples.get(key) ?? 0), 0);
  return sum(after) - sum(before);
}

function tables(all: readonly Measured[]): string {
  const perIo = (name: string, labels: Readonly<Record<string, string>>) => (each: Measured) =>
    grown(each, name, labels) / grown(each, 'kvm_vm_block_requests_total', {});
  const bySetting = new Map<Setting, Measured[]>();
  for (const each of all) bySetting.set(each.setting, [...(bySetting.get(each.setting) ?? []), each]);
  const header = (what: string): string[] => [
    what,
    ...[...bySetting].map(
      ([{ depth, polling, cpu }, windows]) =>
        `depth ${depth}, poll ${polling}, IOThread on ${cpu}, ${windows.length} windows`,
    ),
  ];
  const row = (title: string, of: (each: Measured) => number, digits = 2): string[] => [
    title,
    ...[...bySetting.values()].map((windows) => {
      const values = windows.map(of);
      const [middle, low, high] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
        value.toFixed(digits),
      );
      return `${middle} (${low} to ${high})`;
    }),
  ];
  const event = (name: string): string[] => row(name, perIo('kvm_vm_trace_events_total', { event: name }));
  const iothread = { thread: 'iothread:io0' };
  const share = (labels: Readonly<Record<string, string>>) => (each: Measured) =>
    grown(each, 'kvm_thread_run_seconds_total', labels) / each.seconds;
  return [
    markdown([
      header(''),
      row('IOPS', (each) => grown(each, 'kvm_vm_block_requests_total', {}) / each.seconds, 0),
      row(
        "IOPS by QEMU's count",
        (each) => grown(each, 'kvm_vm_disk_reads_completed_total', {}) / each.seconds,
        0,
      ),
      row('exits a second', (each) => grown(each, 'kvm_vm_exits_by_reason_total', {}) / each.seconds, 0),
      row('host CPU 0 kept waiting by this machine', ({ starved }) => starved[0] ?? 0),
      row('host CPU 1', ({ starved }) => starved[1] ?? 0),
      row('CPU: vCPU 0', share({ thread: 'vcpu0' })),
      row('CPU: vCPU 1', share({ thread: 'vcpu1' })),
      row('CPU: IOThread', share(iothread)),
    ]),
    markdown([
      header('per I/O'),
      row('exits', perIo('kvm_vm_exits_by_reason_total', {})),
      ...['kick', 'inject', 'eoi', 'halt', 'other'].map((stage) =>
        row(`stage ${stage}`, perIo('kvm_vm_io_path_events_total', { stage })),
      ),
      row('kicks of all virtqueues', perIo('kvm_virtqueue_kicks_total', {})),
      event('kvm_msi_set_irq'),
      event('kvm_inj_virq'),
      event('kvm_eoi'),
      event('kvm_pv_eoi'),
      event('kvm_userspace_exit'),
      event('kvm_halt_poll_ns'),
      row('context switches of the IOThread', perIo('kvm_thread_context_switches_total', iothread)),
      row(
        'of them voluntary',
        perIo('kvm_thread_context_switches_total', { ...iothread, type: 'voluntary' }),
      ),
    ]),
    markdown([
      header('exits per I/O'),
      ...reasons(all).map((reason) => row(reason, perIo('kvm_vm_exits_by_reason_total', { reason }))),
    ]),
  ].join('\n');
}

/** Reasons with at least one exit per thousand I/Os, the most frequent first. */
function reasons(all: readonly Measured[]): string[] {
  const counts = new Map<string, number>();
  for (const each of all) {
    for (const key of series(each.after, 'kvm_vm_exits_by_reason_total', { vm: VM })) {
      const reason = /reason="([^"]*)"/.exec(key)?.[1] ?? '';
      const count = grown(each, 'kvm_vm_exits_by_reason_total', { reason });
      counts.set(reason, (counts.get(reason) ?? 0) + count);
    }
  }
  const requests = all.reduce((sum, each) => sum + grown(each, 'kvm_vm_block_requests_total', {}), 0);
  return [...counts]
    .filter(([, count]) => count / requests >= 1e-3)
    .sort(([, a], [, b]) => b - a)
    .map(([reason]) => reason);
}

/**
 * The same window counted by the exporter, by KVM, by perf and by kvm_stat. All start and end while the guest
 * is stopped.
 */
async function agreement(guest: Guest): Promise<string> {
  const { host } = guest;
  await apply(guest, { ...BASE, depth: 4 });
  const kvmStat = options['kvm-stat'];
  const hasKvmStat = kvmStat !== '' && existsSync(kvmStat);
  await host.output(`${STOP}; cd /run/lab
taskset -c 0 perf kvm stat record -a -o perf.data >perf.log 2>&1 & echo $! >perf.pid
n=; for _ in {1..60}; do sleep 1; m=$(ls -l /proc/$(<perf.pid)/fd | grep -c perf_event); [ "$m" != 0 ] && [ "$m" = "$n" ] && break; n=$m; done`);
  note('perf records');
  if (hasKvmStat) {
    await host.output(
      `cd /run/lab
taskset -c 0 /usr/bin/python3 -u '${kvmStat}' -l -c -d -t -s 5 -f '^(kvm_exit|exits)' >kvm_stat.csv 2>kvm_stat.err & echo $! >kvm_stat.pid
for _ in {1..100}; do sleep 1; [ "$(wc -l <kvm_stat.csv)" -ge 2 ] && exit; done; cat kvm_stat.err; exit 1`,
      120_000,
    );
    note('kvm_stat counts');
  }
  const read = async (): Promise<{ samples: Samples; debugfs: number; lines: number }> => ({
    debugfs: Number(await host.output(`cat ${EXITS}`)),
    samples: parseSamples(await host.output(SCRAPE)),
    lines: hasKvmStat ? Number(await host.output('sleep 11; wc -l </run/lab/kvm_stat.csv')) : 0,
  });
  const first = await read();
  const took = Number((await host.output(window(seconds))).trim());
  const last = await read();
  await host.output(`kill -INT $(</run/lab/perf.pid); while [ -e /proc/$(</run/lab/perf.pid) ]; do sleep 0.2; done
${hasKvmStat ? 'kill $(</run/lab/kvm_stat.pid)' : ''}`);
  const perf = await host.output(
    'cd /run/lab; cat perf.log; taskset -c 0 perf kvm -i perf.data stat report --event=vmexit 2>&1',
    90_000,
  );
  process.stderr.write(`${perf}\n`);
  const measured: Measured = {
    setting: BASE,
    seconds: took,
    starved: [],
    before: first.samples,
    after: last.samples,
  };
  const kvmStatCounts = hasKvmStat
    ? sumOfCsv(await host.output('cat /run/lab/kvm_stat.csv'), first.lines, last.lines)
    : new Map<string, number>();
  return agreementTables(measured, last.debugfs - first.debugfs, perf, kvmStatCounts);
}

/** Sums the lines of a CSV file with a header, from line `from` up to, but not including, line `to`. */
function sumOfCsv(text: string, from: number, to: number): Map<string, number> {
  const [header = '', ...lines] = text.trim().split('\n');
  const sums = new Map<string, number>();
  const names = header.split(',');
  for (const line of lines.slice(from - 1, to - 1)) {
    line.split(',').forEach((cell, column) => {
      if (column === 0) return;
      const name = names[column] ?? '';
      sums.set(name, (sums.get(name) ?? 0) + Number(cell));
    });
  }
  return sums;
}

function agreementTables(
  measured: Measured,
  debugfs: number,
  perf: string,
  kvmStat: ReadonlyMap<string, number>,
): string {
  const byPerf = new Map(
    [...perf.matchAll(/^\s*(\S+)\s+(\d+)\s+[\d.]+%\s+[\d.]+%/gm)].map(([, name = '', count]) => [
      name,
      Number(count),
    ]),
  );
  const perfTotal = [...byPerf.values()].reduce((sum, count) => sum + count, 0);
  const total = grown(measured, 'kvm_vm_exits_by_reason_total', {});
  const ours = reasons([measured]);
  const against = (count: number | undefined, of: number): string =>
    count === undefined ? '' : `${count} (${((count / of - 1) * 100).toFixed(2)}%)`;
  const row = (name: string, count: number, ...others: (number | undefined)[]): string[] => [
    name,
    String(count),
    ...others.map((other) => against(other, count)),
  ];
  return `### agreement: ${measured.seconds.toFixed(1)} s, depth 4, ${grown(measured, 'kvm_vm_block_requests_total', {})} requests

${markdown([
  ['exits', 'kvm-telemetry', 'debugfs', 'perf kvm stat', 'kvm_stat, tracepoints', 'kvm_stat, debugfs'],
  row('all', total, debugfs, perfTotal, kvmStat.get('kvm_exit'), kvmStat.get('exits')),
  ...ours.map((reason) =>
    row(
      reason,
      grown(measured, 'kvm_vm_exits_by_reason_total', { reason }),
      undefined,
      byPerf.get(reason) ?? 0,
      kvmStat.get(`kvm_exit(${IN_KVM_STAT[reason] ?? reason.toUpperCase()})`),
      undefined,
    ),
  ),
])}
perf: ${/lost.*|LOST.*/i.exec(perf)?.[0] ?? 'nothing lost'}
kvm_stat: ${JSON.stringify([...kvmStat].filter(([, count]) => count > 0))}

`;
}
