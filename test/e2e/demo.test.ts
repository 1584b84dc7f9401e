import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveAlerts } from '../../exporter/page/live.ts';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { liveFrame } from '../../testing/live-frame.ts';
import { sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { hasTool } from '../../testing/tools.ts';

const FOLDERS = ['/dev/shm', '/tmp'];
const FIRST_ROUND = ['KvmExitStorm', 'KvmAffinityDrift', 'KvmIoStalled'];
const WITHIN_MS = 7 * 60_000;

/** Folders of the demo with this process id. */
function foldersOf({ pid }: Daemon): string[] {
  return FOLDERS.filter(existsSync).flatMap((folder) =>
    readdirSync(folder).filter((name) => name.startsWith('kvm-telemetry-') && name.includes(`-${pid}-`)),
  );
}

test('the demo is a changing host marked as simulated, and leaves no files', async (context) => {
  const judged = '--inventory.schedule=*/2 * * * * *';
  const daemon = await startDaemon(context, ['--no-prometheus', judged], {}, 'demo');
  const first = await daemon.samples();
  assert.equal(sample(first, 'kvm_telemetry_build_info', { simulated: 'true' }), 1);
  assert.equal(series(first, 'kvm_vm_info').length, 6);
  await sleep(4000);
  // On a busy machine a monitor may respond too late for one scrape.
  let second = first;
  await until(async () => {
    second = await daemon.samples();
    return series(second, 'kvm_telemetry_collector_success').every((each) => second.get(each) === 1);
  }, 'all collectors read their sources');
  for (const vm of ['web', 'db-a', 'db-b', 'kv', 'mail', 'build']) {
    for (const name of ['kvm_vm_exits_total', 'kvm_vm_io_path_events_total']) {
      const [one] = series(second, name, { vm });
      assert.ok((second.get(one ?? '') ?? 0) > (first.get(one ?? '') ?? 0), `${name} of ${vm} grows`);
    }
  }
  await until(async () => {
    await sleep(500);
    const stages = series(await daemon.samples(), 'kvm_vm_stage_info', { source: 'detected' });
    return new Set(stages.map((each) => /stage="([^"]+)"/.exec(each)?.[1])).size >= 4;
  }, 'four stages');
  assert.notDeepEqual(foldersOf(daemon), []);
  assert.equal(await daemon.stop('SIGINT'), 0);
  assert.deepEqual(foldersOf(daemon), []);
});

test('the demo starts an installed Prometheus with alerts and stops it at its end', async (context) => {
  if (!hasTool(context, 'prometheus', 'prometheus')) return;
  const daemon = await startDaemon(context, [], {}, 'demo');
  const line = /Prometheus that scrapes the demo: (\S+) \(alerts: (\S+)\)/;
  const addresses = (): RegExpExecArray | null => line.exec(daemon.printed.join('\n'));
  await until(() => addresses() !== null, 'the demo prints the addresses of Prometheus and its alerts');
  const [, url = '', alerts = ''] = addresses() ?? [];
  assert.equal(alerts, `${url}alerts`);
  const query = async (): Promise<string | undefined> => {
    try {
      const response = await fetch(`${url}api/v1/query?query=count(kvm_vm_info)`);
      const body = (await response.json()) as { data: { result: { value: [number, string] }[] } };
      return body.data.result[0]?.value[1];
    } catch {
      return undefined;
    }
  };
  await until(async () => (await query()) === '6', 'Prometheus has the six VMs');
  // The first round has a storm, then a stall and a drift. The page asks Prometheus every 15 s.
  await liveFrame<LiveAlerts>(
    daemon,
    'alerts',
    {},
    ({ alerts }) => alerts.some(({ name, vm }) => vm !== undefined && FIRST_ROUND.includes(name)),
    WITHIN_MS,
  );
  assert.notDeepEqual(foldersOf(daemon), []);
  assert.equal(await daemon.stop('SIGINT'), 0);
  assert.equal(await query(), undefined);
  assert.deepEqual(foldersOf(daemon), []);
});
