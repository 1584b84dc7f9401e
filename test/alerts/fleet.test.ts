import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { recordingRules } from '../../alerts/recording.ts';
import { alertingFile, recordingFile } from '../../alerts/rule-files.ts';
import { listeningPort } from '../../exporter/cli/listening-port.ts';
import { catalogue } from '../../exporter/metrics/catalogue.ts';
import { recordedAllowList } from '../../scripts/fleet.ts';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { generated, panelsOf, queriesOf } from '../../testing/generated.ts';
import { httpServer } from '../../testing/http-server.ts';
import { until } from '../../testing/patience.ts';
import { hasTool } from '../../testing/tools.ts';

const FOLDER = `${ROOT}deploy/fleet`;

/** @throws AssertionError with the program's output */
function accepts(program: string, ...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stdout}${stderr}`);
}

const refuses = (program: string, ...args: readonly string[]): void =>
  assert.notEqual(spawnSync(program, args).status, 0, `${program} ${args.join(' ')} accepts anything`);

interface Job {
  readonly sample_limit?: number;
}
interface File {
  readonly scrape_configs?: readonly Job[];
  readonly remote_write?: readonly {
    readonly write_relabel_configs: readonly { readonly regex: string }[];
  }[];
}
const read = (name: string): File => parse(readFileSync(`${FOLDER}/${name}`, 'utf8')) as File;

/** Starts programs that end with the test, and reads where they listen. */
function starterOf(context: TestContext): (program: string, args: readonly string[]) => Promise<string> {
  return async (program, args) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    context.after(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    return `http://127.0.0.1:${await listeningPort(child)}`;
  };
}

test('promtool accepts the configurations of Prometheus, and the rules', (context) => {
  if (!hasTool(context, 'promtool', 'prometheus')) return;
  const folder = temporaryFolder(context);
  cpSync(FOLDER, folder, { recursive: true });
  mkdirSync(join(folder, 'rules'));
  for (const name of ['recording.yaml', 'alerting.yaml'])
    cpSync(`${ROOT}alerts/generated/${name}`, join(folder, 'rules', name));
  for (const name of ['prometheus-server', 'federation', 'discovery'])
    accepts('promtool', 'check', 'config', '--lint=all', '--lint-fatal', join(folder, `${name}.yml`));
  accepts('promtool', 'check', 'config', '--agent', join(folder, 'prometheus-agent.yml'));
  refuses('promtool', 'check', 'config', '--agent', join(folder, 'prometheus-server.yml'));
  accepts('promtool', 'check', 'rules', '--lint-fatal', join(folder, 'central-rules.yaml'));
});

test('vmagent and vmalert of Debian accept their files', (context) => {
  if (!hasTool(context, 'vmagent', 'victoria-metrics')) return;
  const own = ['-remoteWrite.url=http://localhost/api/v1/write', '-dryRun', '-loggerLevel=ERROR'];
  const config = `-promscrape.config=${FOLDER}/vmagent.yml`;
  accepts('vmagent', ...own, config, `-remoteWrite.urlRelabelConfig=${FOLDER}/vmagent-to-central.yml`);
  accepts('vmagent', ...own, `-promscrape.config=${FOLDER}/discovery-kubernetes.yml`);
  const wrong = join(temporaryFolder(context), 'wrong.yml');
  writeFileSync(
    wrong,
    readFileSync(`${FOLDER}/vmagent.yml`, 'utf8').replace('sample_limit', 'sample_limits'),
  );
  refuses('vmagent', ...own, `-promscrape.config=${wrong}`);
  accepts('vmalert', '-dryRun', `-rule=${FOLDER}/central-rules.yaml`);
});

test('every recorded series and every query of the fleet dashboard passes the allow-list, and no raw series of threads', () => {
  for (const name of ['prometheus-server.yml', 'vmagent-to-central.yml']) {
    const file = read(name);
    const rules = file.remote_write?.[0]?.write_relabel_configs ?? (file as unknown as { regex: string }[]);
    const allowed = new RegExp(`^(?:${rules[0]?.regex})$`);
    // The sums over hosts of a rack would be added to those of the store.
    for (const record of Object.keys(recordingRules))
      assert.equal(allowed.test(record), !record.startsWith('cluster'), `${name}: ${record}`);
    const selected = [
      ...panelsOf(generated('fleet')).flatMap(queriesOf),
      ...recordingFile().groups.flatMap(({ rules }) =>
        rules.filter(({ record }) => record?.startsWith('cluster')),
      ),
    ];
    for (const { expr } of selected)
      for (const [metric] of expr.matchAll(
        /[\w:]+(?=\{)|\b(?:vm|host)\w*:[\w:]+|\bup\b|\b(?:kvm|scrape)_\w+/g,
      ))
        assert.ok(metric.startsWith('cluster') || allowed.test(metric), `${name}: ${metric}`);
    for (const metric of Object.keys(catalogue).filter((each) => /^kvm_(thread|vcpu)_/.test(each)))
      assert.doesNotMatch(metric, allowed, name);
  }
});

test('the agents count what a store refuses in the counters of KvmTelemetrySamplesLost', async (context) => {
  if (
    !hasTool(context, 'prometheus', 'prometheus') ||
    !hasTool(context, 'victoria-metrics', 'victoria-metrics') ||
    !hasTool(context, 'vmagent', 'victoria-metrics')
  )
    return;
  const folder = temporaryFolder(context);
  const start = starterOf(context);
  // The exporter, and a store that takes nothing.
  const other = await httpServer(context, (request, response) => {
    request.resume();
    response.statusCode = request.method === 'POST' ? 400 : 200;
    response.end(request.method === 'POST' ? 'out of order sample' : 'kvm_vm_vcpus{vm="db"} 4\n');
  });
  for (const name of ['vmagent.yml', 'prometheus-agent.yml']) {
    const config = parse(readFileSync(`${FOLDER}/${name}`, 'utf8'));
    config.global.scrape_interval = '1s';
    config.global.scrape_timeout = '1s';
    const [job] = config.scrape_configs;
    config.scrape_configs = [
      { ...job, file_sd_configs: undefined, static_configs: [{ targets: [new URL(other).host] }] },
    ];
    for (const write of config.remote_write ?? []) write.url = `${other}/api/v1/write`;
    writeFileSync(join(folder, name), stringify(config));
  }
  const [prometheus, vmagent, victoria] = await Promise.all([
    start('prometheus', [
      '--enable-feature=agent',
      `--config.file=${folder}/prometheus-agent.yml`,
      `--storage.agent.path=${folder}/wal`,
      '--web.listen-address=127.0.0.1:0',
    ]),
    start('vmagent', [
      `-promscrape.config=${folder}/vmagent.yml`,
      `-remoteWrite.url=${other}/api/v1/write`,
      `-remoteWrite.tmpDataPath=${folder}/queue`,
      '-httpListenAddr=127.0.0.1:0',
    ]),
    start('victoria-metrics', [`-storageDataPath=${folder}/store`, '-httpListenAddr=127.0.0.1:0']),
  ]);
  const counted = async (url: string, name: string): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))];
    assert(values.length > 0, name);
    return Math.max(...values.map(([, value]) => Number(value)));
  };
  await until(async () => (await counted(prometheus, 'prometheus_remote_storage_samples_failed_total')) > 0);
  await until(async () => (await counted(vmagent, 'vmagent_remotewrite_packets_dropped_total')) > 0);
  assert.equal(await counted(vmagent, 'vm_persistentqueue_bytes_dropped_total'), 0);
  assert.equal(await counted(victoria, 'vm_rows_ignored_total'), 0);
});

test('any external label of the agent is on the recorded series that reach the store', async (context) => {
  if (
    !hasTool(context, 'prometheus', 'prometheus') ||
    !hasTool(context, 'victoria-metrics', 'victoria-metrics')
  )
    return;
  const folder = temporaryFolder(context);
  const start = starterOf(context);
  const listen = '127.0.0.1:0';
  const store = await start('victoria-metrics', [
    `-storageDataPath=${folder}/store`,
    `-httpListenAddr=${listen}`,
  ]);
  const external = { cluster: 'east', rack: 'r1', region: 'eu' };
  const record = 'host:kvm_vms:count';
  const config = parse(readFileSync(`${FOLDER}/prometheus-server.yml`, 'utf8'));
  config.global = { evaluation_interval: '1s', external_labels: external };
  config.rule_files = [`${folder}/rules.yml`];
  config.remote_write[0].url = `${store}/api/v1/write`;
  const rules = [{ record, expr: 'vector(1)', labels: { job: 'kvm-telemetry', instance: 'kvm1:9954' } }];
  writeFileSync(`${folder}/rules.yml`, stringify({ groups: [{ name: 'one', rules }] }));
  writeFileSync(`${folder}/prometheus.yml`, stringify(config));
  await start('prometheus', [
    `--config.file=${folder}/prometheus.yml`,
    `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=${listen}`,
  ]);
  let found: readonly Readonly<Record<string, string>>[] = [];
  await until(async () => {
    const response = await fetch(`${store}/api/v1/series?match[]=${record}`);
    found = ((await response.json()) as { data: typeof found }).data;
    return found.length > 0;
  });
  assert.deepEqual(found, [{ __name__: record, job: 'kvm-telemetry', instance: 'kvm1:9954', ...external }]);
});

test('an agent without rules sends all series that the rules need', () => {
  const [write] = read('prometheus-agent.yml').remote_write ?? [];
  const allowed = new RegExp(`^(?:${write?.write_relabel_configs[0]?.regex})$`);
  const recorded = new Set(Object.keys(recordingRules));
  const exprs = [...recordingFile().groups, ...alertingFile().groups].flatMap(({ rules }) =>
    rules.map(({ expr }) => expr.replaceAll(/"[^"]*"/g, '""')),
  );
  const selected = exprs.flatMap(
    (expr) =>
      expr.match(
        /(?<![:\w])(?:kvm_\w+|up(?=[{[])|scrape_\w+|prometheus_\w+|process_\w+|vmagent_\w+|vm_persistentqueue_\w+|(?:vm|host)\w*:[\w:]+)/g,
      ) ?? [],
  );
  assert(selected.length > 100);
  for (const name of selected) assert(recorded.has(name) || allowed.test(name), name);
});

test('every job has a limit of samples, and every file a test', () => {
  const checked = [
    'central-rules.yaml',
    'discovery.yml',
    'federation.yml',
    'prometheus-agent.yml',
    'prometheus-server.yml',
  ];
  const files = readdirSync(FOLDER).sort();
  const vmagent = [
    'discovery-kubernetes.yml',
    'vmagent-stream-aggregation.yml',
    'vmagent-to-central.yml',
    'vmagent.yml',
  ];
  assert.deepEqual(files, [...checked, ...vmagent, 'cortex.yml', 'mimir.yml'].sort());
  for (const name of files) {
    const { scrape_configs: jobs = [] } = read(name);
    for (const { sample_limit: limit } of jobs) assert.equal(limit, 400_000, name);
  }
});

interface Store {
  readonly limits: Readonly<Record<string, number | string | boolean>>;
}

test('the limits of Cortex and Mimir fit the agents, and their files state whether they were tested', () => {
  // Debian has no package of them, so this test checks only the statements of the files.
  const [agent] = read('prometheus-agent.yml').scrape_configs as readonly {
    readonly label_limit: number;
    readonly label_value_length_limit: number;
  }[];
  const groups = [...recordingFile().groups, ...alertingFile().groups];
  for (const [name, first] of [
    ['cortex.yml', /^# Ran with Cortex \d/],
    ['mimir.yml', /^# Never run/],
  ] as const) {
    const text = readFileSync(`${FOLDER}/${name}`, 'utf8');
    assert.match(text, first);
    const { limits } = parse(text) as Store;
    assert.equal(limits['max_label_value_length'], agent?.label_value_length_limit);
    // The default of both is 30 labels.
    assert(Number(agent?.label_limit) <= 30);
    // 2.1 million recorded series of 1,000 hosts every 15 s: docs/fleet.md.
    assert(Number(limits['max_global_series_per_user']) > 2_100_000);
    assert(Number(limits['ingestion_rate']) > 2_100_000 / 15);
    const most = Number(limits['ruler_max_rules_per_rule_group'] ?? Number.POSITIVE_INFINITY);
    for (const { rules } of groups) assert(rules.length <= most);
    const external = parse(readFileSync(`${FOLDER}/prometheus-agent.yml`, 'utf8')).global.external_labels;
    assert(Object.keys(external).includes(String(limits['ha_cluster_label'])));
  }
});

const NEWER_VMAGENT = process.env['NEWER_VMAGENT'];

test('a vmagent that can aggregate streams accepts all its files', (context) => {
  if (NEWER_VMAGENT === undefined) return context.skip('NEWER_VMAGENT is not set: scripts/unpack.sh');
  const vmagent = [NEWER_VMAGENT, '-dryRun', '-remoteWrite.url=http://localhost'] as const;
  const aggregating = (file: string): readonly [string, ...string[]] => [
    ...vmagent,
    `-promscrape.config=${FOLDER}/vmagent.yml`,
    `-remoteWrite.urlRelabelConfig=${FOLDER}/vmagent-to-central.yml`,
    `-streamAggr.config=${file}`,
    '-streamAggr.keepInput',
  ];
  const file = `${FOLDER}/vmagent-stream-aggregation.yml`;
  accepts(...aggregating(file));
  accepts(...vmagent, `-promscrape.config=${FOLDER}/discovery-kubernetes.yml`);
  const wrong = join(temporaryFolder(context), 'wrong.yml');
  writeFileSync(wrong, readFileSync(file, 'utf8').replace('rate_sum', 'rates_sum'));
  refuses(...aggregating(wrong));
});

/** Of vmagent 1.102.0, the first that has rate_sum (lib/streamaggr/streamaggr.go). */
const STREAM_KEYS =
  'name match interval no_align_flush_to_interval flush_on_shutdown dedup_interval staleness_interval outputs keep_metric_names ignore_old_samples ignore_first_intervals by without drop_input_labels input_relabel_configs output_relabel_configs';
const STREAM_OUTPUTS =
  'avg count_samples count_series histogram_bucket increase increase_prometheus last max min rate_avg rate_sum stddev stdvar sum_samples total total_prometheus unique_samples';

test('stream aggregation has outputs that rules record, with labels that the metric has', () => {
  const streams = parse(readFileSync(`${FOLDER}/vmagent-stream-aggregation.yml`, 'utf8')) as readonly {
    readonly match: string | readonly string[];
    readonly outputs: readonly string[];
    readonly by: readonly string[];
    readonly output_relabel_configs: readonly { readonly replacement: string }[];
  }[];
  assert(streams.length > 3);
  for (const stream of streams) {
    const { match, by, outputs, output_relabel_configs: relabelings } = stream;
    for (const key of Object.keys(stream)) assert(STREAM_KEYS.split(' ').includes(key), key);
    assert.equal(outputs.length, 1);
    for (const output of outputs) assert(STREAM_OUTPUTS.split(' ').includes(output), output);
    assert.deepEqual(by.slice(0, 3), ['cluster', 'job', 'instance']);
    for (const metric of [match].flat())
      for (const label of by.slice(3))
        assert(catalogue[metric]?.labels.includes(label), `${metric}: ${label}`);
    const [{ replacement = '' } = {}] = relabelings;
    assert(recordedAllowList().includes(replacement), replacement);
    // A sum over sums by VM has its labels in the rule of the sum.
    assert(recordingRules[replacement]?.expr.promql.includes(`by (${by.join(', ')})`), replacement);
  }
  const names = streams.map(({ output_relabel_configs: [of] }) => of?.replacement);
  assert.equal(new Set(names).size, names.length, 'two streams write one series');
});
