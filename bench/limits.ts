import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { quiet } from '../lab/simhost/scenarios.ts';
import { type Daemon, startDaemon } from '../testing/daemon.ts';
import { parseSamples, type Samples, series } from '../testing/metrics.ts';
import { until } from '../testing/patience.ts';
import { AS_INSTALLED } from './as-installed.ts';
import { cpuSeconds, memory } from './process-cost.ts';
import { median } from './statistics.ts';
import { markdown } from './table.ts';

// The daemon within the limits of a cgroup (version 1) on a simulated host: the effects of systemd's CPUQuota=,
// MemoryMax= and Nice=. MemoryHigh= needs version 2.

const VCPUS = 8;
const PERIOD_US = 100_000;
/** Twenty times the default, so that the quota is the limit, and not the other load of this machine. */
const SHARES = 20_480;
const LOOPS = 2;
const MIB = 1024 * 1024;

interface Limits {
  readonly name: string;
  /** Percent of a CPU. */
  readonly quota?: number;
  readonly memoryMiB?: number;
  readonly nice?: number;
  /** Programs of the same cgroup that never sleep. */
  readonly loops?: number;
}

const ALL: readonly Limits[] = [
  { name: 'none' },
  { name: 'CPUQuota=100%', quota: 100 },
  { name: 'CPUQuota=50%', quota: 50 },
  { name: 'CPUQuota=20%', quota: 20 },
  { name: 'Nice=5, a CPU shared with two busy loops', quota: 100, nice: 5, loops: LOOPS },
  { name: 'Nice=19, a CPU shared with two busy loops', quota: 100, nice: 19, loops: LOOPS },
  { name: 'MemoryMax=512M', memoryMiB: 512 },
  { name: 'MemoryMax=384M', memoryMiB: 384 },
  { name: 'MemoryMax=256M', memoryMiB: 256 },
];

const { values } = parseArgs({
  options: {
    vms: { type: 'string', default: '1000' },
    scrapes: { type: 'string', default: '8' },
    interval: { type: 'string', default: '15' },
    timeout: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
  },
});
const vms = Number(values.vms);
const timeout = Number(values.timeout);

const { path: scratch } = memoryFolder('kvm-bench-limits-');
exitBySignal();
const cleanups: (() => void)[] = [];
process.once('exit', () => {
  for (const work of cleanups.reverse()) work();
});
const rootfs = `${scratch}/host`;
process.stderr.write(`${vms} VMs: generating the host\n`);
const { host } = quiet({ seed: 1 }, vms, VCPUS, { qmp: false, libvirt: false });
host.step(1);
host.writeTo(rootfs);
host.close();

const rows = [
  [
    'limit',
    'start',
    'scrape: median',
    'longest',
    'missed',
    'VMs shown, least',
    'collectors failed',
    'latest task, intervals',
    'CPU',
    'throttled',
    'peak RSS MiB',
    'end',
  ],
];
for (const limits of ALL.filter(({ name }) => name.includes(values.only))) {
  rows.push(await measure(limits));
  process.stderr.write(`${rows.at(-1)?.join(' | ')}\n`);
}
process.stdout.write(markdown(rows));
process.exit(0);

async function measure({ name, quota, memoryMiB, nice = 0, loops = 0 }: Limits): Promise<string[]> {
  const cpu = cgroup('cpu');
  writeFileSync(`${cpu}/cpu.shares`, String(SHARES));
  if (quota !== undefined) writeFileSync(`${cpu}/cpu.cfs_quota_us`, String((quota / 100) * PERIOD_US));
  const ram = cgroup('memory');
  if (memoryMiB !== undefined) writeFileSync(`${ram}/memory.limit_in_bytes`, String(memoryMiB * MIB));
  cleanups.push(() => killAll(cpu));
  const join = `echo $$ > ${cpu}/cgroup.procs; echo $$ > ${ram}/cgroup.procs; exec nice -n ${nice} "$@"`;
  const wrapper = ['sh', '-c', join, 'sh'];
  const busy = Array.from({ length: loops }, () => loop(cpu));
  const undo: (() => void)[] = [];
  const context = { after: (work: () => void) => void undo.push(work) };
  const begin = performance.now();
  let end = 'running';
  try {
    const flags = [`--path.rootfs=${rootfs}`];
    const daemon = await startDaemon(context, flags, AS_INSTALLED, 'serve', wrapper);
    daemon.child.once('exit', (code, signal) => {
      end = `${code ?? signal}`;
    });
    const start = (performance.now() - begin) / 1000;
    const { waits, missed, least, failed, latest, used, throttled, rss } = await scrapes(
      daemon,
      cpu,
      () => end === 'running',
    );
    const unhurried = end;
    const code = end === 'running' ? await daemon.stop() : undefined;
    return [
      name,
      `${start.toFixed(1)} s`,
      ...[median(waits), Math.max(...waits)].map((each) => `${each.toFixed(2)} s`),
      `${missed} of ${values.scrapes}`,
      missed === waits.length ? '' : String(least),
      String(failed),
      latest.toFixed(0),
      `${(100 * used).toFixed(0)}%`,
      `${(100 * throttled).toFixed(0)}%`,
      rss.toFixed(0),
      code === undefined
        ? `${unhurried}, limit reached ${read(`${ram}/memory.failcnt`)} times`
        : `exit ${code}`,
    ];
  } catch (error) {
    return [name, ...Array.from({ length: 10 }, () => ''), String(error).slice(0, 200)];
  } finally {
    for (const work of undo) work();
    for (const child of busy) child.kill('SIGKILL');
    await gone(cpu);
    await gone(ram);
  }
}

interface Scrapes {
  readonly waits: readonly number[];
  readonly missed: number;
  readonly least: number;
  readonly failed: number;
  /** Of the task that is latest, in its intervals. */
  readonly latest: number;
  /** Shares of the time. */
  readonly used: number;
  readonly throttled: number;
  readonly rss: number;
}

/** Scrapes as Prometheus does: at fixed times, with a time limit. */
async function scrapes(daemon: Daemon, cpu: string, isAlive: () => boolean): Promise<Scrapes> {
  const pid = daemon.pid;
  const [cpuBefore, throttledBefore, begin] = [cpuSeconds(pid), throttledSeconds(cpu), performance.now()];
  const waits: number[] = [];
  let [missed, least, rss, used, seconds, failed, latest] = [0, vms, 0, 0, 0, 0, 0];
  for (let i = 0; i < Number(values.scrapes) && isAlive(); i++) {
    const start = performance.now();
    try {
      const response = await fetch(`${daemon.url}/metrics`, {
        headers: { 'X-Prometheus-Scrape-Timeout-Seconds': String(timeout), 'Accept-Encoding': 'gzip' },
        signal: AbortSignal.timeout(timeout * 1000),
      });
      const text = await response.text();
      waits.push((performance.now() - start) / 1000);
      const samples = parseSamples(text);
      least = Math.min(least, [...samples.keys()].filter((key) => key.startsWith('kvm_vm_vcpus{')).length);
      failed = Math.max(failed, failedCollectors(samples));
      latest = Math.max(latest, latestTask(samples));
    } catch {
      missed++;
      waits.push(timeout);
    }
    await sleep(Math.max(0, Number(values.interval) * 1000 - (performance.now() - start)));
    if (!isAlive()) break;
    rss = Math.max(rss, memory(pid).peakMiB);
    used = cpuSeconds(pid) - cpuBefore;
    seconds = (performance.now() - begin) / 1000;
  }
  const throttled = throttledSeconds(cpu) - throttledBefore;
  return { waits, missed, least, failed, latest, used: used / seconds, throttled: throttled / seconds, rss };
}

function failedCollectors(samples: Samples): number {
  return series(samples, 'kvm_telemetry_collector_success').filter((key) => samples.get(key) === 0).length;
}

/** As in the alert KvmTelemetryTaskStalled. */
function latestTask(samples: Samples): number {
  return series(samples, 'kvm_telemetry_task_last_run_age_seconds').reduce((most, key) => {
    const interval = samples.get(key.replace('_last_run_age_', '_interval_')) ?? Number.NaN;
    return Math.max(most, (samples.get(key) ?? 0) / interval);
  }, 0);
}

function cgroup(controller: string): string {
  const folder = `/sys/fs/cgroup/${controller}/kt-limits-${process.pid}`;
  mkdirSync(folder, { recursive: true });
  cleanups.push(() => tryRemove(folder));
  return folder;
}

function killAll(folder: string): void {
  try {
    for (const pid of read(`${folder}/cgroup.procs`).split('\n').filter(Boolean))
      process.kill(Number(pid), 'SIGKILL');
  } catch {
    // It has been removed.
  }
}

function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** The kernel removes a process from its cgroup some time after its end. */
function gone(folder: string): Promise<void> {
  return until(() => tryRemove(folder), `${folder} is empty`);
}

function loop(cpu: string): ChildProcess {
  const child = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
  cleanups.push(() => child.kill('SIGKILL'));
  writeFileSync(`${cpu}/cgroup.procs`, String(child.pid));
  return child;
}

function throttledSeconds(cpu: string): number {
  return Number(/^throttled_time (\d+)$/m.exec(read(`${cpu}/cpu.stat`))?.[1] ?? 0) / 1e9;
}

function read(path: string): string {
  return readFileSync(path, 'utf8').trim();
}
