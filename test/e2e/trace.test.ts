import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { heldBy, isInKernel } from '../../testing/bpf-held.ts';
import { countingGuest } from '../../testing/counting-guest.ts';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { canRunKickingGuests, kickingGuest } from '../../testing/kicking-guest.ts';
import { sample, series } from '../../testing/metrics.ts';
import { canRunGuests } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

const TRACEFS = '/sys/kernel/tracing';

function canTrace(context: TestContext): boolean {
  return (
    hasTool(context, 'perf', 'linux-perf') &&
    canRunGuests(context) &&
    has(context, process.geteuid?.() === 0, 'only root may count trace events') &&
    has(
      context,
      existsSync(`${TRACEFS}/events/kvm/kvm_pio`),
      `no trace events of KVM in ${TRACEFS}: mount -t tracefs none ${TRACEFS}`,
    )
  );
}

/** Port accesses of a VM as reported by the daemon; undefined if it does not. */
async function pios(daemon: Daemon, vm: string): Promise<number | undefined> {
  const samples = await daemon.samples();
  const [found] = series(samples, 'kvm_vm_trace_events_total', { vm, event: 'kvm_pio' });
  return found === undefined ? undefined : samples.get(found);
}

/** Repeats the query until the result is as wanted, for half a minute. */
async function until<T>(ask: () => Promise<T>, isIt: (answer: T) => boolean): Promise<T> {
  let answer = await ask();
  for (let i = 0; i < 60 && !isIt(answer); i++) {
    await sleep(500);
    answer = await ask();
  }
  return answer;
}

function childrenOf(pid: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [comm = '', rest = ''] = readFileSync(`/proc/${name}/stat`, 'latin1').split(') ');
        return rest.split(' ')[1] === String(pid) && !rest.startsWith('Z') ? [comm] : [];
      } catch {
        return [];
      }
    });
}

interface TraceSource {
  readonly source: string;
  readonly usable: boolean;
  readonly findings: readonly { readonly why: string; readonly fix?: string }[];
}

/** doctor's report on the trace events. The exit code also depends on other sources, which may be missing here. */
function doctor(...flags: readonly string[]): TraceSource | undefined {
  const args = [`${ROOT}dist/exporter/main.js`, 'doctor', '--json', ...flags];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const { sources } = JSON.parse(stdout) as { sources: TraceSource[] };
  return sources.find(({ source }) => source === 'trace');
}

test("without BPF the kernel's features select the backend, and doctor prints the reason", async (context) => {
  if (!canTrace(context)) return;
  const hasHistTriggers = existsSync(`${TRACEFS}/events/kvm/kvm_pio/hist`);
  const daemon = await startDaemon(context, ['--bpf=off']);
  const samples = await daemon.samples();
  const backend = hasHistTriggers ? 'tracefs' : 'perf';
  assert.equal(series(samples, 'kvm_telemetry_trace_backend_info', { backend }).length, 1);
  assert.equal(await daemon.stop(), 0);
  const trace = doctor('--bpf=off');
  assert.equal(trace?.usable, true);
  if (!hasHistTriggers) assert.match(trace?.findings[0]?.why ?? '', /no hist triggers/);
});

test('BPF counts each kick of a guest, continues after a reload, and SIGKILL leaves nothing', async (context) => {
  if (!canTrace(context) || !canRunKickingGuests(context)) return;
  const why = doctor('--trace.backend=bpf', '--trace.sets=notifications');
  if (!has(context, why?.usable === true, `BPF cannot be used here: ${JSON.stringify(why?.findings)}`))
    return;
  const guest = await kickingGuest(context, 'kt-trace-kicks', 2);
  await guest.stopAndCount();
  const vm = 'kt-trace-kicks';
  const file = join(temporaryFolder(context), 'config.yml');
  writeFileSync(file, 'trace: { sets: notifications, budget: 1 }\n');
  const daemon = await startDaemon(context, [`--config=${file}`]);
  const kicks = async (): Promise<number> => {
    const samples = await daemon.samples();
    assert.equal(series(samples, 'kvm_telemetry_trace_backend_info', { backend: 'bpf' }).length, 1);
    const counts = series(samples, 'kvm_virtqueue_kicks_total', { vm });
    return counts.reduce((sum, name) => sum + (samples.get(name) ?? 0), 0);
  };
  const run = async (): Promise<number> => {
    const before = await guest.reads();
    await guest.go();
    await until(guest.reads, (now) => now >= before + 2000);
    return ((await guest.stopAndCount()) - before) / 2;
  };
  const first = await run();
  assert.ok(first >= 1000, `${first}`);
  assert.equal(await kicks(), first);
  // All objects of the trace events are loaded again. Those of the iterators stay.
  const old = heldBy(daemon.pid);
  writeFileSync(file, 'trace: { sets: notifications, budget: 0.001 }\n');
  daemon.child.kill('SIGHUP');
  await until(
    async () => old.every(isInKernel),
    (isAllThere) => !isAllThere,
  );
  assert.equal(await kicks(), first);
  await guest.go();
  const ratio = async (): Promise<number> =>
    sample(await daemon.samples(), 'kvm_telemetry_trace_sampled_ratio', { set: 'notifications' });
  assert.ok((await until(ratio, (now) => now < 0.5)) < 0.5);
  const [reads, counted] = [await guest.reads(), await kicks()];
  await until(guest.reads, (now) => now >= reads + 40_000);
  // Kicks may count in windows, of which a few say little: the estimate gets better with their number.
  const estimated = async (): Promise<number> =>
    ((await kicks()) - counted) / (((await guest.reads()) - reads) / 2);
  const found = await until(estimated, (now) => Math.abs(now - 1) < 0.4);
  assert.ok(Math.abs(found - 1) < 0.4, `${found} of the kicks`);
  const held = heldBy(daemon.pid);
  assert.ok(held.some(([kind]) => kind === 'link'));
  daemon.child.kill('SIGKILL');
  for (let i = 0; i < 100 && held.some(isInKernel); i++) await sleep(100);
  assert.deepEqual(held.filter(isInKernel), []);
});

test("perf's counts equal the guests' own counts, and SIGTERM leaves no process", async (context) => {
  if (!canTrace(context)) return;
  const [few, many] = [20_000, 220_000];
  const one = countingGuest(context, 'kt-trace-one', [few, 100]);
  const two = countingGuest(context, 'kt-trace-two', [many, 100]);
  const daemon = await startDaemon(context, ['--trace.backend=perf']);
  for (const vm of ['kt-trace-one', 'kt-trace-two']) {
    // perf reports its first counts after an interval.
    assert.equal(
      await until(
        () => pios(daemon, vm),
        (count) => count !== undefined,
      ),
      0,
      vm,
    );
  }
  // Other VMs of this machine have their own perf. virsh may be a child as well, for a moment.
  const vms = series(await daemon.samples(), 'kvm_vm_info').length;
  const children = async (): Promise<number> => childrenOf(daemon.pid).length;
  assert.equal(await until(children, (count) => count === vms), vms);

  await Promise.all([one.begin(), two.begin()]);
  const [[first = 0], [second = 0]] = await Promise.all([one.counted(), two.counted()]);
  assert.deepEqual([first, second], [few, many]);
  const ends = (count: number | undefined): boolean => count !== undefined && count > many;
  await until(() => pios(daemon, 'kt-trace-two'), ends);
  // Another interval, in which both are idle.
  await sleep(6_000);
  const counted = (await pios(daemon, 'kt-trace-two')) ?? 0;
  // The work of the firmware and on the serial ports is the same in both guests.
  const difference = counted - ((await pios(daemon, 'kt-trace-one')) ?? 0);
  assert.ok(Math.abs(difference / (many - few) - 1) < 0.01, `${difference} port accesses more`);

  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(childrenOf(daemon.pid), []);
});
