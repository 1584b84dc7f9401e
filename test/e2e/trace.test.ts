import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { countingGuest } from '../../testing/counting-guest.ts';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { series } from '../../testing/metrics.ts';
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

/** Asks until the answer is as wanted, for half a minute. */
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

test("the kernel's features select the backend, and doctor prints the reason", async (context) => {
  if (!canTrace(context)) return;
  const hasHistTriggers = existsSync(`${TRACEFS}/events/kvm/kvm_pio/hist`);
  const daemon = await startDaemon(context);
  const samples = await daemon.samples();
  const backend = hasHistTriggers ? 'tracefs' : 'perf';
  assert.equal(series(samples, 'kvm_telemetry_trace_backend_info', { backend }).length, 1);
  assert.equal(await daemon.stop(), 0);

  // Another source may well be missing here, which shows in the exit code.
  const { stdout } = spawnSync(process.execPath, [`${ROOT}dist/exporter/main.js`, 'doctor', '--json'], {
    encoding: 'utf8',
  });
  const report = JSON.parse(stdout) as {
    sources: { source: string; usable: boolean; findings: { why: string }[] }[];
  };
  const trace = report.sources.find(({ source }) => source === 'trace');
  assert.equal(trace?.usable, true);
  if (!hasHistTriggers) assert.match(trace?.findings[0]?.why ?? '', /no hist triggers/);
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
  // What the firmware did, and the guests on their serial ports, is the same in both.
  const difference = counted - ((await pios(daemon, 'kt-trace-one')) ?? 0);
  assert.ok(Math.abs(difference / (many - few) - 1) < 0.01, `${difference} port accesses more`);

  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(childrenOf(daemon.pid), []);
});
