import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { hasKvm, startGuest, threadId } from '../../testing/qemu.ts';
import { buildTinyVm, canRunTinyVms, startTinyVm } from '../../testing/tiny-vm.ts';
import { has, hasTool } from '../../testing/tools.ts';

const NAME = 'kt-bpf-threads';
const VCPU0 = { vm: NAME, thread: 'vcpu0', role: 'vcpu' };

interface Counted {
  readonly daemon: Daemon;
  /** All paths that it has opened or listed. */
  paths(): string[];
  /** Names of the files of the guest's threads that the daemon has opened so far. */
  opened(): Set<string>;
}

/** A daemon that records which files it opens. */
async function countedDaemon(context: TestContext, pid: number, ...args: string[]): Promise<Counted> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-opens-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const log = join(folder, 'opens');
  const environment = { KT_OPENS: log, NODE_OPTIONS: `--import=${ROOT}dist/testing/count-opens.js` };
  const daemon = await startDaemon(context, ['--trace.backend=off', ...args], environment);
  const ofThread = new RegExp(`^/proc/${pid}/task(?:/\\d+/(.*))?$`);
  const paths = (): string[] => readFileSync(log, 'utf8').split('\n');
  const opened = (): Set<string> =>
    new Set(
      paths().flatMap(
        (path) =>
          ofThread
            .exec(path)
            ?.map((name) => name ?? 'task')
            .slice(1) ?? [],
      ),
    );
  return { daemon, paths, opened };
}

/** Scrapes until the sampler has seen the vCPU twice, and two more times. */
async function scrapeUntilSampled(daemon: Daemon): Promise<Samples> {
  for (;;) {
    const samples = parseSamples(await daemon.metrics());
    const seconds = series(samples, 'kvm_thread_cpu_residency_seconds_total', VCPU0).reduce(
      (sum, key) => sum + (samples.get(key) ?? 0),
      0,
    );
    if (seconds > 1.5) return parseSamples(await daemon.metrics());
    await sleep(200);
  }
}

function canRun(context: TestContext): boolean {
  return (
    hasTool(context, 'qemu-system-x86_64', 'qemu-system-x86') &&
    has(context, hasKvm(), '/dev/kvm is missing: load kvm_intel or kvm_amd')
  );
}

test('with BPF no file of a thread is opened: not by scrapes, nor by the sampler, nor by the check of masks', async (context) => {
  if (!canRun(context)) return;
  const guest = startGuest({ name: NAME });
  context.after(() => guest.stop());
  const { daemon, opened } = await countedDaemon(context, guest.pid);
  const samples = await scrapeUntilSampled(daemon);
  if (!has(context, hasBpf(samples), 'BPF cannot be used here')) return;
  for (const metric of METRICS) assert.equal(series(samples, metric, VCPU0).length > 0, true, metric);
  // The cgroups of the threads are read once a minute, and what the rows do not have at one scrape in ten.
  assert.deepEqual(
    [...opened()].filter((name) => name !== 'cgroup' && name !== 'sched'),
    [],
  );
  const path = `/proc/${guest.pid}/task/${threadId(guest.pid, 'CPU 0/KVM')}/schedstat`;
  const run = (): number => Number(readFileSync(path, 'utf8').split(' ')[0]) / 1e9;
  const before = run();
  const seen = sample(parseSamples(await daemon.metrics()), 'kvm_thread_run_seconds_total', VCPU0);
  assert.ok(before <= seen && seen <= run(), 'between two readings of /proc');
});

test('a new VM is found in the next scrape, and the descriptors of other new processes are not read', async (context) => {
  if (!canRunTinyVms(context) || !canRun(context)) return;
  const guest = startGuest({ name: NAME });
  context.after(() => guest.stop());
  const program = buildTinyVm(context, 'kt-new-vm');
  const { daemon, paths } = await countedDaemon(context, guest.pid, '--path.debugfs=/nonexistent');
  const samples = parseSamples(await daemon.metrics());
  if (!has(context, hasBpf(samples), 'BPF cannot be used here')) return;
  const other = spawn('sleep', ['1000']);
  context.after(() => other.kill('SIGKILL'));
  const { pid } = await startTinyVm(context, program, 600_000);
  const found = parseSamples(await daemon.metrics());
  assert.equal(series(found, 'kvm_vm_info', { pid: String(pid) }).length, 1);
  assert.ok(paths().includes(`/proc/${pid}/fd`));
  assert.ok(paths().includes(`/proc/${other.pid}/stat`), 'the process was seen');
  assert.ok(!paths().includes(`/proc/${other.pid}/fd`));
});

test('with --bpf=off the same metrics come from the files', async (context) => {
  if (!canRun(context)) return;
  const guest = startGuest({ name: NAME });
  context.after(() => guest.stop());
  const { daemon, opened } = await countedDaemon(context, guest.pid, '--bpf=off');
  const samples = await scrapeUntilSampled(daemon);
  assert.equal(hasBpf(samples), false);
  for (const metric of METRICS) assert.equal(series(samples, metric, VCPU0).length > 0, true, metric);
  for (const file of ['task', 'stat', 'schedstat', 'status']) assert.ok(opened().has(file), file);
});

const METRICS = [
  'kvm_thread_run_seconds_total',
  'kvm_thread_wait_seconds_total',
  'kvm_thread_timeslices_total',
  'kvm_thread_cpu_seconds_total',
  'kvm_thread_context_switches_total',
  'kvm_thread_migrations_total',
  'kvm_thread_cpu',
  'kvm_thread_allowed_cpus',
  'kvm_thread_cpu_residency_seconds_total',
];

function hasBpf(samples: Samples): boolean {
  const success = series(samples, 'kvm_telemetry_collector_success', { collector: 'bpf' });
  return success.length > 0 && series(samples, 'kvm_vm_source_info', { vm: NAME, source: 'bpf' }).length > 0;
}
