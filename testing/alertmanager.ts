import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listeningPort } from '../exporter/cli/listening-port.ts';

/** An alert in a notification of Alertmanager's webhook. */
interface Notified {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Notifications {
  /** host:port for Prometheus' configuration. */
  readonly target: string;
  /** All alerts that the webhook received so far. */
  readonly all: readonly Notified[];
  /** Waits for an alert with this name and VM; without a VM, for an alert of the host. */
  until(
    status: Notified['status'],
    alert: string,
    vm: string | undefined,
    withinMs: number,
  ): Promise<Notified>;
}

/**
 * A real Alertmanager on loopback that sends its notifications to a webhook of the test. It stops when the
 * test ends.
 */
export async function startAlertmanager(context: Pick<TestContext, 'after'>): Promise<Notifications> {
  const all: Notified[] = [];
  const webhook = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      all.push(...(JSON.parse(body) as { alerts: Notified[] }).alerts);
      response.end();
    });
  });
  await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
  const { port } = webhook.address() as AddressInfo;
  const folder = mkdtempSync(join(tmpdir(), 'kt-alertmanager-'));
  const config = {
    route: {
      receiver: 'test',
      group_by: ['alertname', 'instance', 'vm'],
      group_wait: '1s',
      group_interval: '1s',
      repeat_interval: '1h',
    },
    receivers: [
      { name: 'test', webhook_configs: [{ url: `http://127.0.0.1:${port}/`, send_resolved: true }] },
    ],
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'alertmanager.yml'), JSON.stringify(config));
  const child = spawn(
    'prometheus-alertmanager',
    [
      [`--config.file=${folder}/alertmanager.yml`, `--storage.path=${folder}/data`],
      ['--web.listen-address=127.0.0.1:0', '--cluster.listen-address='],
    ].flat(),
    { stdio: 'ignore' },
  );
  context.after(() => {
    child.kill('SIGKILL');
    webhook.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const own = await listeningPort(child);
  if (own === undefined) throw new Error('Alertmanager has ended');
  return {
    target: `127.0.0.1:${own}`,
    all,
    async until(status, alert, vm, withinMs) {
      const deadline = performance.now() + withinMs;
      for (;;) {
        const found = all.find(
          (each) => each.status === status && each.labels['alertname'] === alert && each.labels['vm'] === vm,
        );
        if (found !== undefined) return found;
        if (performance.now() > deadline) {
          throw new Error(`no ${status} ${alert} of ${vm} within ${withinMs} ms, but ${JSON.stringify(all)}`);
        }
        await sleep(100);
      }
    },
  };
}
