import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { NAMES } from '../../testing/generated.ts';

const ROOT = new URL('../../../', import.meta.url);
const read = (path: string): unknown => parse(readFileSync(new URL(path, ROOT), 'utf8'));

interface Compose {
  readonly services: Record<
    string,
    { readonly volumes?: string[]; readonly environment?: Record<string, string> }
  >;
}

it("the compose file mounts the dashboards in the directory of Grafana's provider", () => {
  const { services } = read('deploy/compose/compose.yaml') as Compose;
  const mounts = Object.values(services).flatMap(({ volumes = [] }) =>
    volumes.map((volume) => volume.split(':')),
  );
  for (const [from = ''] of mounts) {
    if (from.startsWith('.')) assert.ok(existsSync(new URL(`deploy/compose/${from}`, ROOT)), from);
  }
  const provider = read('deploy/grafana/provisioning/dashboards/kvm-telemetry.yaml') as {
    providers: { options: { path: string } }[];
  };
  const path = provider.providers[0]?.options.path;
  assert.ok(mounts.some(([from, to]) => to === path && from === '../../dashboards/generated'));
  const files = readdirSync(fileURLToPath(new URL('dashboards/generated/', ROOT)));
  assert.deepEqual(files.sort(), NAMES.map((name) => `${name}.json`).sort());
});

it("the data source has Prometheus' scrape interval, from which Grafana computes $__rate_interval", () => {
  const { datasources } = read('deploy/grafana/provisioning/datasources/prometheus.yaml') as {
    datasources: { type: string; url: string; jsonData: { timeInterval: string } }[];
  };
  const { global } = read('deploy/prometheus/prometheus.yml') as { global: { scrape_interval: string } };
  assert.deepEqual(
    datasources.map(({ type, url, jsonData }) => [type, url, jsonData.timeInterval]),
    [['prometheus', 'http://prometheus:9090', global.scrape_interval]],
  );
});

it('Grafana has no default password', () => {
  const { services } = read('deploy/compose/compose.yaml') as Compose;
  assert.match(
    services['grafana']?.environment?.['GF_SECURITY_ADMIN_PASSWORD'] ?? '',
    /^\$\{GRAFANA_PASSWORD:\?/,
  );
});
