import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveCauses } from '../../exporter/page/live.ts';
import { blkGuest } from '../../testing/blk-guest.ts';
import { canLimit, cgroupOf } from '../../testing/cpu-cgroup.ts';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { series } from '../../testing/metrics.ts';
import { has, hasTool } from '../../testing/tools.ts';

const NAME = 'kt-causes';
/** Rounds of ten seconds in which nothing changes. */
const STEADY_MS = 80_000;
const PATIENCE_MS = 150_000;
const NEIGHBOURS = 8;
/** 4% of a CPU: less than its share on a busy host. */
const QUOTA_US = 4000;

/** Waits for the wanted answer. */
async function until(
  daemon: Daemon,
  isWanted: (found: LiveCauses) => boolean,
  what: string,
): Promise<LiveCauses> {
  let found: LiveCauses | undefined;
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(1000)) {
    found = (await (await daemon.get(`/api/v1/causes?vm=${NAME}`)).json()) as LiveCauses;
    if (isWanted(found)) return found;
  }
  return assert.fail(`${what}: ${JSON.stringify(found)}`);
}

/** Programs that spin on a CPU, each in a cgroup of its own: in that of the tests they would share the weight of one. */
function spin(context: TestContext, cpu: number): void {
  for (let i = 0; i < NEIGHBOURS; i++) {
    const program = spawn('taskset', ['-c', String(cpu), 'sh', '-c', 'while :; do :; done'], {
      stdio: 'ignore',
    });
    context.after(() => program.kill('SIGKILL'));
    assert.ok(program.pid !== undefined);
    cgroupOf(context, { pid: program.pid }, `${NAME}-neighbour-${i}`);
  }
}

test('a real guest: its quota is named first, and then the programs on its CPU', async (context) => {
  if (!canLimit(context) || !hasTool(context, 'as', 'binutils')) return;
  if (!hasTool(context, 'taskset', 'util-linux')) return;
  if (!has(context, availableParallelism() > 1, 'a host with two CPUs')) return;
  const sockets = temporaryFolder(context);
  const options = { name: NAME, sockets, iosPerKick: 1, pollMaxNs: 0, honoursNoNotify: false };
  const guest = blkGuest(context as TestContext, options);
  guest.pin(0, 1);
  const cgroup = cgroupOf(context as TestContext, guest, NAME);
  const daemon = await startDaemon(context, [
    ...[`--qmp.sockets=${sockets}/*.sock`, `--qmp.directories=${sockets}`, '--bpf=off'],
  ]);
  const backend = series(await daemon.samples(), 'kvm_telemetry_trace_backend_info');
  if (!has(context, backend.length > 0, 'trace events cannot be counted here')) return;

  await sleep(STEADY_MS);
  let changed = Date.now() / 1000;
  cgroup.limit(QUOTA_US);
  const isNew = ({ worsening }: LiveCauses): boolean =>
    worsening?.metric === 'iops' && worsening.since > changed - 20;
  const quota = await until(daemon, (found) => isNew(found) && found.causes.length > 0, 'quota');
  context.diagnostic(JSON.stringify(quota));
  assert.equal(quota.causes[0]?.cause, 'quota');

  // Neighbours hardly affect a guest that already waits for most of the time.
  const isBusy = (loadavg()[0] ?? 0) > 2 * availableParallelism();
  const isShort = process.env['E2E_SHORT'] !== undefined;
  const skip = isShort ? 'E2E_SHORT is set' : isBusy ? 'this host is too busy' : false;
  await context.test('the programs on its CPU', { skip }, async (part) => {
    cgroup.limit(undefined);
    await until(daemon, ({ worsening }) => worsening === undefined, 'no quota');
    await sleep(STEADY_MS / 2);
    changed = Date.now() / 1000;
    spin(part as TestContext, 0);
    const neighbours = await until(daemon, (found) => isNew(found) && found.causes.length > 0, 'neighbours');
    part.diagnostic(JSON.stringify(neighbours));
    assert.equal(neighbours.causes[0]?.cause, 'run_queue_wait');
    assert.match(neighbours.causes[0]?.text ?? '', /wait for a CPU .*; other programs use/);
  });
  guest.stop();
});
