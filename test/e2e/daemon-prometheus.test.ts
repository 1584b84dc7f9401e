import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { spawnPrometheus } from '../../testing/prometheus.ts';
import { hasTool } from '../../testing/tools.ts';

const HOST = `--path.rootfs=${ROOT}test/fixtures/hosts/linux-nvme-vhost/t0`;

interface Sample {
  readonly metric: Record<string, string>;
  readonly value: [number, string];
}

/** Starts Prometheus, scraping this target each second. */
async function startPrometheus(
  context: TestContext,
  target: string,
): Promise<{ url: string; query(text: string): Promise<Sample[]> }> {
  const { url, hasEnded, log } = await spawnPrometheus(
    context,
    `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: kvm-telemetry
    static_configs: [{ targets: ["${target}"] }]
`,
    (folder) => [`--storage.tsdb.path=${folder}/data`],
  );
  const query = async (text: string): Promise<Sample[]> => {
    try {
      const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(text)}`);
      const { data } = (await response.json()) as { data?: { result: Sample[] } };
      return data?.result ?? [];
    } catch (error) {
      if (hasEnded()) throw new Error(`Prometheus has ended: ${log()}`, { cause: error });
      return [];
    }
  };
  return { url, query };
}

async function atLast(work: () => Promise<Sample[]>): Promise<Sample> {
  for (let i = 0; i < 150; i++) {
    const [first] = await work();
    if (first !== undefined) return first;
    await sleep(100);
  }
  return assert.fail('no result in 15 s');
}

test('a real Prometheus scrapes every sample with the correct names and labels', async (context) => {
  if (!hasTool(context, 'prometheus', 'prometheus')) return;
  const daemon = await startDaemon(context, [HOST]);
  const { url, query } = await startPrometheus(context, new URL(daemon.url).host);

  assert.equal((await atLast(() => query('up == 1'))).metric['job'], 'kvm-telemetry');
  const exits = await atLast(() => query('kvm_vm_exits_total'));
  assert.ok(exits.metric['vm'] !== undefined && Number(exits.value[1]) > 0);
  // This is the name in OpenMetrics. In the text format the family has the suffix.
  const metadata = await fetch(`${url}/api/v1/metadata?metric=kvm_vm_exits`);
  assert.match(await metadata.text(), /"type":"counter"/);
  const runs = await query('count(kvm_thread_run_seconds_total{role="vcpu"})');
  assert.ok(Number(runs[0]?.value[1]) >= 1);
  const [scraped] = await query('scrape_samples_scraped');
  const lines = (await daemon.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.ok(
    Math.abs(Number(scraped?.value[1]) - lines.length) < 20,
    `${scraped?.value[1]} of ${lines.length}`,
  );
});

test("the configuration of Prometheus is valid and targets the exporter's port", (context) => {
  const path = `${ROOT}deploy/prometheus/prometheus.yml`;
  assert.match(readFileSync(path, 'utf8'), /kvm-telemetry:9954/);
  if (!hasTool(context, 'promtool', 'prometheus')) return;
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', path], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
});

test('the files that compose.yaml mounts exist, and the exporter gets only the rights that it needs', () => {
  const path = `${ROOT}deploy/compose/compose.yaml`;
  const { services } = parse(readFileSync(path, 'utf8')) as {
    services: Record<string, Record<string, unknown> & { volumes: string[]; build?: { context: string } }>;
  };
  const { 'kvm-telemetry': exporter, prometheus } = services;
  assert.ok(existsSync(resolve(dirname(path), exporter?.build?.context ?? '', 'Dockerfile')));
  assert.ok(exporter?.volumes.includes('/:/host:ro,rslave'));
  assert.deepEqual([exporter?.['privileged'], exporter?.['pid']], [undefined, 'host']);
  assert.deepEqual(exporter?.['cap_drop'], ['ALL']);
  const [config] = prometheus?.volumes[0]?.split(':') ?? [];
  assert.ok(existsSync(resolve(dirname(path), config ?? '')));
});

test('the files of the image exist, and its build context has no other files', () => {
  const dockerfile = readFileSync(`${ROOT}Dockerfile`, 'utf8');
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
    names.split(' '),
  );
  const ignore = readFileSync(`${ROOT}.dockerignore`, 'utf8');
  const admitted = [...ignore.matchAll(/^!(.+)$/gm)].map(([, name]) => name);
  assert.match(ignore, /^\*$/m);
  assert.deepEqual(new Set(copied), new Set(admitted));
  for (const name of copied) assert.ok(existsSync(ROOT + name), name);
});
