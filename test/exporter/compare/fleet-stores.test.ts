import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type CompareFlags, runCompare } from '../../../exporter/cli/compare.ts';
import { ConfigError } from '../../../exporter/config/load.ts';
import { createBlocks } from '../../../lab/history/blocks.ts';
import { serveBlocks } from '../../../lab/history/prometheus.ts';
import { temporaryFolder } from '../../../testing/folder.ts';
import { until } from '../../../testing/patience.ts';
import { fleetSeries, NEW, OLD, simulatedFleet } from '../../../testing/simulated-fleet.ts';
import { hasTool } from '../../../testing/tools.ts';
import { startVictoria } from '../../../testing/victoria-metrics.ts';

/** Of 36 hosts 24 get a new kernel, which makes 16 of them 8% slower. */
const FLEET = simulatedFleet({ seed: 3, hosts: 36, updated: 24, slow: 16, factor: 1.08 });
const { lines, from, to } = fleetSeries(FLEET, { step: 150 });

interface Report {
  readonly configurations: readonly {
    readonly name: string;
    readonly hosts: readonly string[];
    readonly notes: readonly string[];
    readonly values: Readonly<Record<string, { readonly value: number | null }>>;
    readonly againstFirst: {
      readonly changes: Readonly<
        Record<
          string,
          { readonly verdict: string; readonly gain: number; readonly interval: readonly [number, number] }
        >
      >;
    } | null;
    readonly hostsAgainstFirst: Readonly<
      Record<string, readonly { readonly host: string; readonly verdict: string }[]>
    >;
  }[];
}

async function compare(
  context: TestContext,
  url: string,
  by: string,
  failIf: readonly string[] = [],
  others: Partial<CompareFlags> = {},
): Promise<{ code: number; report: Report }> {
  const out = `${temporaryFolder(context)}/report.json`;
  const flags = {
    prometheus: url,
    by: `label=${by}`,
    from: `${from}`,
    to: `${to}`,
    format: 'json',
    confidence: '0.95',
    out,
    failIf,
    ...others,
  };
  const code = await runCompare(flags);
  return { code, report: JSON.parse(readFileSync(out, 'utf8')) as Report };
}

/** Checks that hold for every store with these series. */
async function checkAnswers(context: TestContext, url: string): Promise<void> {
  const { code, report } = await compare(context, url, 'kernel', ['latency_mean>+1%']);
  const [before, after] = report.configurations;
  assert.deepEqual([before?.name, after?.name], [OLD, NEW]);
  const change = after?.againstFirst?.changes['latency_mean'];
  assert.equal(change?.verdict, 'worse');
  const [low, high] = change.interval;
  assert(low < 0.053 && 0.053 < high && high - low < 0.06, `${low} to ${high}`);
  assert.equal(code, 1);
  assert.equal(after?.againstFirst?.changes['iops']?.verdict, 'same');
  const slow = FLEET.filter(({ isSlow }) => isSlow).map(({ cluster, instance }) => `${cluster}/${instance}`);
  const worse = (after?.hostsAgainstFirst['latency_mean'] ?? []).filter(({ verdict }) => verdict === 'worse');
  assert(worse.length >= 3, `${worse.length}`);
  for (const { host } of worse) assert(slow.includes(host), host);
  assert.match(
    after?.notes.join() ?? '',
    /the change of 24 hosts that were in both groups, less that of 12 hosts/,
  );

  const { report: clusters } = await compare(context, url, 'cluster');
  assert.deepEqual(
    clusters.configurations.map(({ name, hosts }) => [name, hosts.length]),
    [
      ['east', 18],
      ['west', 18],
    ],
  );
  assert.match(clusters.configurations[1]?.notes.join() ?? '', /these are different hosts/);
  const { report: racks } = await compare(context, url, 'rack');
  assert.deepEqual(
    racks.configurations.map(({ name }) => name),
    ['r0', 'r1'],
  );

  // The VMs of a host have half of its I/Os each, and its latency.
  const { report: versions } = await compare(context, url, 'qemu_version');
  const [old, now] = versions.configurations;
  assert.deepEqual([old?.name, now?.name], ['8.2.0', '9.0.0']);
  const same = now?.againstFirst?.changes['latency_mean'];
  assert.equal(same?.verdict, 'same');
  assert(Math.abs(same.gain) < 1e-6);
  assert(Math.abs(Number(now?.values['iops']?.value) / Number(before?.values['iops']?.value) - 1) < 0.1);
  assert.match(now?.notes.join() ?? '', /the VMs of 36 hosts that have VMs of both groups/);

  await assert.rejects(compare(context, url, 'cpu'), /there is one group in this time, "EPYC" with 36 hosts/);
  await assert.rejects(compare(context, url, 'rak'), (error) => {
    assert(error instanceof ConfigError);
    assert.match(error.message, /no host has the label rak: there are cluster, cpu, .*kernel, .*rack/);
    return true;
  });
  const refused = (others: Partial<CompareFlags>, message: RegExp): Promise<void> =>
    assert.rejects(compare(context, url, 'kernel', [], others), { name: 'ConfigError', message });
  await refused({ host: 'nowhere*' }, /^--host: no host "nowhere\*" in this time: there are 36 others$/);
  const day = 86_400;
  await refused(
    { from: `${from - 9 * day}`, to: `${from - 8 * day}` },
    /has no samples of host:kvm_vms:count in this time: check that the recording rules/,
  );
}

test('a Prometheus shows which hosts a kernel made slower, by cluster, rack and QEMU version', async (context) => {
  if (!hasTool(context, 'prometheus', 'prometheus') || !hasTool(context, 'promtool', 'prometheus')) return;
  const folder = temporaryFolder(context);
  writeFileSync(`${folder}/fleet.om`, `${lines.join('\n')}\n# EOF\n`);
  await createBlocks(`${folder}/fleet.om`, `${folder}/data`);
  const { url, stop } = await serveBlocks(`${folder}/data`);
  context.after(stop);
  await checkAnswers(context, url);
});

test("Debian's VictoriaMetrics shows the same", async (context) => {
  if (!hasTool(context, 'victoria-metrics', 'victoria-metrics')) return;
  const folder = temporaryFolder(context);
  const { url, stop } = await startVictoria(folder);
  context.after(stop);
  const body = lines.map((line) => line.replace(/ (\d+)$/, ' $1000')).join('\n');
  const { ok } = await fetch(`${url}/api/v1/import/prometheus`, { method: 'POST', body });
  assert(ok);
  await fetch(`${url}/internal/force_flush`);
  await until(async () => {
    const found = await fetch(`${url}/api/v1/series?match[]=host:kvm_vms:count&start=${from}&end=${to}`);
    return ((await found.json()) as { data: readonly unknown[] }).data.length === FLEET.length;
  });
  await checkAnswers(context, url);
});
