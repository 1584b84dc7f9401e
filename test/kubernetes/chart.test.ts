import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { ROOT } from '../../testing/daemon.ts';
import { NAMES } from '../../testing/generated.ts';
import {
  CHART,
  chartRenderer,
  defaultValues,
  execute,
  type Manifest,
  manifestsOf,
  merged,
} from '../../testing/helm-chart.ts';
import { apiErrors, hasKubernetesApi } from '../../testing/kubernetes-api.ts';
import { hasTool } from '../../testing/tools.ts';

const MANIFESTS = `${ROOT}deploy/kubernetes/manifests.yaml`;
const text = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');

interface DaemonSet {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
      readonly spec: {
        readonly nodeSelector: Readonly<Record<string, string>>;
        readonly volumes: readonly { readonly name: string }[];
        readonly containers: readonly [
          {
            readonly image: string;
            readonly args: readonly string[];
            readonly livenessProbe: object;
            readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
          },
        ];
      };
    };
  };
}

function only(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  assert.equal(found.length, 1, kind);
  return found[0] as Manifest;
}

function podOf(manifests: readonly Manifest[]): DaemonSet['spec']['template'] {
  return (only(manifests, 'DaemonSet') as unknown as DaemonSet).spec.template;
}

/** The capabilities of a line of words, without their prefix. */
function capabilities(words: string): string[] {
  return words
    .split(/[\s,]+/)
    .map((word) => word.replace('CAP_', ''))
    .sort();
}

test('the chart renders what the API accepts', async (context) => {
  if (!hasKubernetesApi(context)) return;
  const render = chartRenderer(context);
  if (render === undefined) return;

  const standard = render({});
  assert.deepEqual(await apiErrors(standard), []);
  const rules = standard.filter(({ kind }) => kind === 'PrometheusRule').map(({ spec }) => spec);
  const committed = ['alerting', 'recording'].map((name) => parse(text(`alerts/generated/${name}.yaml`)));
  assert.deepEqual(rules, committed);
  const dashboards = standard.filter(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1');
  const json = dashboards.flatMap(({ data }) => Object.entries(data as Record<string, string>));
  assert.deepEqual(json.map(([name]) => name).sort(), NAMES.map((name) => `${name}.json`).sort());
  for (const [name, content] of json)
    assert.deepEqual(JSON.parse(content), JSON.parse(text(`dashboards/generated/${name}`)));

  const changed = render(
    {
      image: { digest: `sha256:${'0'.repeat(64)}` },
      imagePullSecrets: [{ name: 'registry' }],
      podLabels: { team: 'virt' },
      podAnnotations: { 'example.org/note': 'x' },
      config: { log: { level: 'debug' }, vms: [{ name: 'default_*', pinning: { 'vcpu*': '2-5' } }] },
      extraArgs: ['--trace.backend=tracefs'],
      webConfigSecret: 'web',
      trace: { tracefs: false },
      state: { hostPath: '' },
      capabilities: ['SYS_PTRACE', 'DAC_READ_SEARCH'],
      nodeSelector: { 'kubevirt.io/schedulable': null, kvm: 'yes' },
      affinity: { nodeAffinity: {} },
      priorityClassName: 'system-node-critical',
      serviceAccount: { annotations: { a: 'b' } },
      podMonitor: { labels: { release: 'prometheus' }, endpoint: { scheme: 'https' } },
      prometheusRule: { labels: { release: 'prometheus' }, keepFiringFor: false },
      networkPolicy: { enabled: true, from: [{ namespaceSelector: {} }] },
    },
    { name: 'nodes', service: 'Helm' },
  );
  assert.deepEqual(await apiErrors(changed), []);
  assert.equal(only(changed, 'ServiceAccount').metadata.name, 'nodes-kvm-telemetry');
  const { metadata, spec } = podOf(changed);
  assert.match(metadata.annotations['checksum/config'] ?? '', /^[\da-f]{64}$/);
  assert.deepEqual(spec.nodeSelector, { 'kubernetes.io/os': 'linux', kvm: 'yes' });
  assert.deepEqual(
    spec.volumes.map(({ name }) => name),
    ['host', 'config', 'web-config'],
  );
  const [{ image, args, livenessProbe }] = spec.containers;
  assert.equal(image, `kvm-telemetry@sha256:${'0'.repeat(64)}`);
  assert.ok(args.includes('--config=/etc/kvm-telemetry/kvm-telemetry.yaml'));
  assert.ok(args.includes('--trace.backend=tracefs'));
  assert.ok('tcpSocket' in livenessProbe, 'the kubelet has no login');
  assert.doesNotMatch(JSON.stringify(changed), /keep_firing_for/);

  const nothing = render({
    serviceAccount: { create: false },
    podMonitor: { enabled: false },
    prometheusRule: { enabled: false },
    dashboards: { enabled: false },
  });
  assert.deepEqual(
    nothing.map(({ kind }) => kind),
    ['DaemonSet'],
  );
});

test('what the API does not have is found', async (context) => {
  if (!hasKubernetesApi(context)) return;
  const broken = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, date: {} };
  assert.match((await apiErrors([broken])).join(), /"date"' does not exist/);
  const wrong = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: { a: 1 } };
  assert.match((await apiErrors([wrong])).join(), /must be string/);
});

test('the kustomization has what the chart renders, the rules and the dashboards', async (context) => {
  const render = chartRenderer(context);
  if (render === undefined) return;
  // Rules and dashboards have a file of their own there.
  const rendered = render(
    { prometheusRule: { enabled: false }, dashboards: { enabled: false } },
    { name: 'kvm-telemetry', service: 'kustomize' },
  ).map(({ metadata: { name, labels = {} }, ...more }) => {
    const { 'helm.sh/chart': _, ...kept } = labels;
    const { apiVersion, kind, ...content } = more;
    return { apiVersion, kind, metadata: { name, labels: kept }, ...content };
  });
  const expected = `# Rendered from deploy/helm by \`UPDATE_GOLDEN=1 npm test -- kubernetes/\`; do not edit.\n${rendered
    .map((manifest) => stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false }))
    .join('---\n')}`;
  if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(MANIFESTS, expected);
  assert.equal(readFileSync(MANIFESTS, 'utf8'), expected);

  if (!hasTool(context, 'kubectl', 'kubernetes-client') || !hasKubernetesApi(context)) return;
  const built = manifestsOf(execute('kubectl', ['kustomize', `${ROOT}deploy/kubernetes`]));
  assert.deepEqual(await apiErrors(built), []);
  const dashboards = built.filter(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1');
  assert.equal(dashboards.length, NAMES.length);
  for (const { kind, metadata } of built)
    if (kind !== 'Namespace')
      assert.equal((metadata as { namespace?: string }).namespace, 'kvm-telemetry', kind);
  for (const { kind, metadata } of rendered)
    assert.equal(only(built, kind).metadata.name, metadata.name, kind);
});

test('values.schema.json accepts the values and refuses mistakes', async (context) => {
  if (!hasKubernetesApi(context)) return;
  const load = createRequire(`${ROOT}test/kubernetes/package.json`);
  const { Ajv } = load('ajv') as {
    Ajv: new (options: object) => { compile(schema: unknown): (value: unknown) => boolean };
  };
  const accepts = new Ajv({ allErrors: true }).compile(
    JSON.parse(readFileSync(`${CHART}values.schema.json`, 'utf8')),
  );
  assert.equal(accepts(defaultValues()), true);
  for (const [mistake, changes] of Object.entries({
    'an unknown key': { dashboard: {} },
    'a port in quotes': { port: '9954' },
    'a tag for a digest': { image: { digest: 'latest' } },
    'a capability with its prefix': { capabilities: ['CAP_BPF'] },
    'a relative directory': { state: { hostPath: 'state' } },
    'a flag without its dashes': { extraArgs: ['log.level=debug'] },
  }))
    assert.equal(accepts(merged(defaultValues(), changes)), false, mistake);
});

test('unit, container and pod have the same capabilities, and the chart the version of the package', () => {
  const { capabilities: chart } = defaultValues() as { capabilities: string[] };
  const [, unit = ''] =
    /^CapabilityBoundingSet=(.*)$/m.exec(text('deploy/systemd/kvm-telemetry.service')) ?? [];
  const [, compose = ''] = /cap_add: \[(.*)\]/.exec(text('deploy/compose/compose.yaml')) ?? [];
  assert.deepEqual([...chart].sort(), capabilities(unit));
  assert.deepEqual([...chart].sort(), capabilities(compose));
  const { version, appVersion } = parse(readFileSync(`${CHART}Chart.yaml`, 'utf8')) as Record<string, string>;
  const manifest = JSON.parse(text('package.json')) as { version: string };
  assert.deepEqual([version, appVersion], [manifest.version, manifest.version]);
});
