import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alertingFile, faster, recordingFile } from '../../alerts/rule-files.ts';
import { demo } from '../../lab/simhost/scenarios.ts';
import { startAlertmanager } from '../../testing/alertmanager.ts';
import { canLimit, cgroupOf } from '../../testing/cpu-cgroup.ts';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { guestWithMonitor, qmpCommand } from '../../testing/guest-with-monitor.ts';
import { spawnPrometheus } from '../../testing/prometheus.ts';
import { canRunGuests, type Guest, runGuest, threadId } from '../../testing/qemu.ts';
import { served } from '../../testing/simulated.ts';
import { has, hasTool } from '../../testing/tools.ts';

/** The real rules on a clock that is this many times as fast: two minutes become five seconds. */
const SPEED = 24;
/** Allowance for scrape, evaluation, Alertmanager's wait, and a busy machine. */
const SLACK_MS = 30_000;
const minutes = (count: number): number => (count * 60_000) / SPEED;
/** Window of the rates and `for`, both two minutes; without a rate, `for` alone. */
const STORM_WITHIN_MS = minutes(2 + 2) + SLACK_MS;
const DOWN_WITHIN_MS = minutes(5) + SLACK_MS;
const DRIFT_WITHIN_MS = minutes(2) + SLACK_MS;
/** Window and `for`, both five minutes. */
const WAIT_WITHIN_MS = minutes(5 + 5) + SLACK_MS;
/** Until the rate has fallen, and as long as the rule keeps firing. */
const STORM_RESOLVED_WITHIN_MS = minutes(2 + 5) + SLACK_MS;
const DRIFT_RESOLVED_WITHIN_MS = minutes(3) + SLACK_MS;

function canRun(context: TestContext): boolean {
  return (
    hasTool(context, 'prometheus', 'prometheus') &&
    hasTool(context, 'prometheus-alertmanager', 'prometheus-alertmanager')
  );
}

function canPin(context: TestContext): boolean {
  return (
    hasTool(context, 'taskset', 'util-linux') &&
    has(context, cpus().length >= 2, 'one CPU leaves nothing to pin')
  );
}

/** A real Prometheus with the rules, and a real Alertmanager that notifies the test. */
async function watched(
  context: TestContext,
  { url }: Daemon,
): Promise<Awaited<ReturnType<typeof startAlertmanager>>> {
  const folder = temporaryFolder(context);
  const rules = join(folder, 'rules.yaml');
  const groups = [...recordingFile().groups, ...alertingFile().groups];
  // JSON is YAML.
  writeFileSync(rules, JSON.stringify(faster({ groups }, SPEED)));
  const notifications = await startAlertmanager(context);
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [rules],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [notifications.target] }] }] },
    scrape_configs: [{ job_name: 'kvm-telemetry', static_configs: [{ targets: [new URL(url).host] }] }],
  };
  await spawnPrometheus(context, JSON.stringify(config), (data) => [`--storage.tsdb.path=${data}/data`]);
  return notifications;
}

test('alerts of a storm and a drift name the VM, resolve in time, and report a missing exporter', async (context) => {
  if (!canRun(context)) return;
  const { host } = demo({ seed: 1, startTime: Math.floor(Date.now() / 1000) });
  host.step(1);
  const rootfs = await served(context, host);
  const living = setInterval(() => host.step(1), 1000);
  context.after(() => clearInterval(living));
  const daemon = await startDaemon(context, [`--path.rootfs=${rootfs}`]);
  const notifications = await watched(context, daemon);
  await sleep(minutes(3));
  // The demo's VMs without polling are short of I/O threads, and get alerts if this takes long; the test ignores them.
  const notified = (): Set<string> =>
    new Set(
      notifications.all
        .filter(({ labels }) => labels['alertname'] !== 'KvmIoThreadSaturated')
        .map(({ labels }) => `${labels['alertname']} ${labels['vm']}`),
    );
  assert.deepEqual(notified(), new Set());

  // web does 95,000 I/Os per second with three exits each. The storm must exceed their allowance of exits.
  host.faults.exitStorm('web', 300_000);
  host.faults.drift('db-b', 'widened');
  const [storm, drift] = await Promise.all([
    notifications.until('firing', 'KvmExitStorm', 'web', STORM_WITHIN_MS),
    notifications.until('firing', 'KvmAffinityDrift', 'db-b', DRIFT_WITHIN_MS),
  ]);
  assert.equal(storm.labels['severity'], 'warning');
  assert.match(
    storm.annotations['description'] ?? '',
    /VM web on .* has [12][0-9.]+k exits per second and vCPU/,
  );
  assert.match(storm.annotations['runbook_url'] ?? '', /\/alerts\/runbooks\/KvmExitStorm\.md$/);
  assert.match(drift.annotations['description'] ?? '', /^Number of threads of VM db-b .*: 1\./);

  host.faults.exitStorm('web', undefined);
  host.faults.restore('db-b');
  await Promise.all([
    notifications.until('resolved', 'KvmExitStorm', 'web', STORM_RESOLVED_WITHIN_MS),
    notifications.until('resolved', 'KvmAffinityDrift', 'db-b', DRIFT_RESOLVED_WITHIN_MS),
  ]);
  // A drift costs the technique, if affinity was judged as in force before.
  const [cause, consequence] = ['KvmAffinityDrift db-b', 'KvmTechniqueLost db-b'];
  const others = [...notified()].filter((each) => each !== consequence);
  assert.deepEqual(new Set(others), new Set(['KvmExitStorm web', cause]));

  assert.equal(await daemon.stop(), 0);
  const down = await notifications.until('firing', 'KvmTelemetryDown', undefined, DOWN_WITHIN_MS);
  assert.equal(down.labels['severity'], 'critical');
  assert.equal(down.labels['instance'], new URL(daemon.url).host);
});

test('a real guest in a loop of port I/O is a storm, and taskset causes a drift', async (context) => {
  const name = 'kt-alerts';
  const able = canRun(context) && canRunGuests(context) && canPin(context);
  if (!able) return;
  const daemon = await startDaemon(context);
  const notifications = await watched(context, daemon);
  const guest = guestWithMonitor(context, { name, vcpus: 1 });
  const taskset = (list: string): void => {
    execFileSync('taskset', ['-pc', list, threadId(guest.pid, 'CPU 0/KVM')], { stdio: 'ignore' });
  };
  const storm = await notifications.until('firing', 'KvmExitStorm', name, STORM_WITHIN_MS);
  assert.match(storm.annotations['description'] ?? '', /has [1-9][0-9.]+k exits per second and vCPU/);
  // A mask that is made narrower is a pin, and a wider one the drift from it.
  taskset('0');
  await sleep(3000);
  taskset(`0-${cpus().length - 1}`);
  await notifications.until('firing', 'KvmAffinityDrift', name, DRIFT_WITHIN_MS);
  taskset('0');
  await qmpCommand(guest.monitor, { execute: 'stop' });
  await Promise.all([
    notifications.until('resolved', 'KvmExitStorm', name, STORM_RESOLVED_WITHIN_MS),
    notifications.until('resolved', 'KvmAffinityDrift', name, DRIFT_RESOLVED_WITHIN_MS),
  ]);
});

test('a quota is KvmVmThrottled and a neighbour on its CPU KvmVcpuStarved, and not the other way round', async (context) => {
  const able = canRun(context) && canLimit(context) && canPin(context);
  if (!able) return;
  const daemon = await startDaemon(context, ['--trace.backend=off']);
  const notifications = await watched(context, daemon);
  const guestOn = (cpu: number, name: string): Guest => {
    const guest = runGuest(context, { name, vcpus: 1 });
    execFileSync('taskset', ['-a', '-c', '-p', String(cpu), String(guest.pid)], { stdio: 'ignore' });
    return guest;
  };
  const [limited, waiting, neighbour] = ['kt-limited', 'kt-waiting', 'kt-neighbour'] as const;
  const cgroup = cgroupOf(context, guestOn(1, limited), limited);
  cgroup.limit(20_000);
  cgroup.prefer();
  for (const name of [waiting, neighbour]) guestOn(0, name);
  await Promise.all([
    notifications.until('firing', 'KvmVmThrottled', limited, WAIT_WITHIN_MS),
    notifications.until('firing', 'KvmVcpuStarved', waiting, WAIT_WITHIN_MS),
  ]);
  const notified = new Set(notifications.all.map(({ labels }) => `${labels['alertname']} ${labels['vm']}`));
  assert(!notified.has(`KvmVcpuStarved ${limited}`));
  for (const name of [waiting, neighbour]) assert(!notified.has(`KvmVmThrottled ${name}`), name);
});
