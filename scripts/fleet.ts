import { readFileSync } from 'node:fs';
import { CENTRAL_GROUP, recordingGroups, recordingRules } from '../alerts/recording.ts';
import { alertingFile, recordingFile, withoutKeepFiringFor } from '../alerts/rule-files.ts';
import { seriesBudget } from '../alerts/thresholds.ts';
import { catalogue } from '../exporter/metrics/catalogue.ts';

/** A scrape with more samples is dropped as a whole. */
const SAMPLE_LIMIT = 2 * seriesBudget.series;
/** Those of the metric, `__name__`, `le`, `job`, `instance`, and ten of discovery. */
const LABEL_LIMIT = Math.max(...Object.values(catalogue).map(({ labels }) => labels.length)) + 14;
/** Lists of CPUs and paths of images are long. */
const LABEL_VALUE_LIMIT = 4096;
const EXTERNAL = { cluster: 'east', rack: 'r1' } as const;
const CENTRAL = 'https://metrics.example.org/api/v1/write';
const TARGETS = '/etc/kvm-telemetry/targets/*.json';

const FLEET_DASHBOARD = new URL('../../dashboards/generated/fleet.json', import.meta.url);

/** Series that `compare --by label=` and the alerts of the store need besides the recorded ones. */
const NOT_RECORDED = [
  'up',
  'scrape_samples_scraped',
  'kvm_telemetry_build_info',
  'kvm_host_info',
  'kvm_vm_qemu_version_info',
  'kvm_vm_vcpus',
] as const;

/** An agent's own counters of lost samples, and its start time, which alternates between two agents of one name. */
const OF_AGENTS = [
  'process_start_time_seconds',
  'prometheus_remote_storage_samples_dropped_total',
  'prometheus_remote_storage_samples_failed_total',
  'prometheus_target_scrapes_sample_duplicate_timestamp_total',
  'prometheus_target_scrapes_sample_out_of_bounds_total',
  'prometheus_target_scrapes_sample_out_of_order_total',
  'vm_persistentqueue_bytes_dropped_total',
  'vmagent_remotewrite_packets_dropped_total',
] as const;

/**
 * The series that leave a host or a rack: recorded series without the sums over hosts, which only the store can
 * compute, and the few others that the fleet dashboard and `compare` select.
 */
export function recordedAllowList(): string[] {
  const dashboard = readFileSync(FLEET_DASHBOARD, 'utf8');
  const selected =
    dashboard.match(/(?<![\w:$])(?:up|ALERTS|ALERTS_FOR_STATE|scrape_\w+|kvm_\w+)(?=\{)/g) ?? [];
  const ofStore = new Set(Object.keys(recordingGroups[CENTRAL_GROUP]));
  const sent = Object.keys(recordingRules).filter((name) => !ofStore.has(name));
  return [...sent, ...new Set([...selected, ...NOT_RECORDED, ...OF_AGENTS])].sort();
}

/** The series that an agent without rules sends: those that the rules select. */
export function rawAllowList(): string[] {
  const minimal = Object.entries(catalogue).filter(([, { profile }]) => profile === 'minimal');
  const names = minimal.flatMap(([name, { type }]) =>
    type === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name],
  );
  return [...names, ...OF_AGENTS, 'up', 'scrape_duration_seconds', 'scrape_samples_scraped'].sort();
}

const keep = (names: readonly string[]): object => ({
  source_labels: ['__name__'],
  regex: names.join('|'),
  action: 'keep',
});

const global = {
  scrape_interval: '15s',
  scrape_timeout: '10s',
  evaluation_interval: '15s',
  external_labels: EXTERNAL,
};
const job = {
  job_name: 'kvm-telemetry',
  sample_limit: SAMPLE_LIMIT,
  label_limit: LABEL_LIMIT,
  label_value_length_limit: LABEL_VALUE_LIMIT,
  file_sd_configs: [{ files: [TARGETS] }],
};
/** The agent itself, of which few series are kept. */
const itself = (port: number): object => ({
  job_name: 'kvm-telemetry-agent',
  sample_limit: SAMPLE_LIMIT,
  static_configs: [{ targets: [`localhost:${port}`] }],
  metric_relabel_configs: [keep(OF_AGENTS)],
});
/** Two million samples wait in memory at most; the write-ahead log has two hours more. */
const queue = { capacity: 20_000, max_samples_per_send: 5000, max_shards: 20, max_backoff: '30s' };

const remoteWrite = (names: readonly string[]): object => ({
  url: CENTRAL,
  // Mimir and Cortex read the tenant here; VictoriaMetrics has it in the URL, Thanos in a header of its own.
  headers: { 'X-Scope-OrgID': 'kvm' },
  write_relabel_configs: [keep(names)],
  queue_config: queue,
});

/** Sets the labels of a discovery as the rules and dashboards expect them. */
const as = (name: string, more: object, relabelings: readonly object[], of: object = job): object => ({
  ...of,
  job_name: name,
  file_sd_configs: undefined,
  ...more,
  relabel_configs: [...relabelings, { target_label: 'job', replacement: 'kvm-telemetry' }],
});

const discovery = [
  as('http', { http_sd_configs: [{ url: 'https://inventory.example.org/kvm-telemetry.json' }] }, []),
  as(
    'openstack',
    {
      openstack_sd_configs: [
        {
          role: 'hypervisor',
          region: 'RegionOne',
          identity_endpoint: 'https://keystone.example.org/v3',
          username: 'prometheus',
          domain_name: 'Default',
          project_name: 'monitoring',
          password: 'change me',
          port: 9954,
        },
      ],
    },
    [
      { source_labels: ['__meta_openstack_hypervisor_state'], regex: 'up', action: 'keep' },
      {
        source_labels: ['__meta_openstack_hypervisor_hostname'],
        target_label: 'instance',
        regex: '(.+)',
        replacement: '$1:9954',
      },
    ],
  ),
];

/** One counter, summed over all labels but these. vmagent names the output after metric, interval, labels and function. */
const streamed = (
  match: string | readonly string[],
  by: readonly string[],
  output: string,
  name: string,
): object => ({
  match,
  interval: '1m',
  by: ['cluster', 'job', 'instance', ...by],
  outputs: [output],
  output_relabel_configs: [{ target_label: '__name__', replacement: name }],
});

/** Reads and writes in one sum: vmagent would make one for each name, so the name becomes a label of the input. */
const ofDisks = (by: readonly string[], name: string): object => ({
  ...streamed(
    ['kvm_vm_disk_reads_completed_total', 'kvm_vm_disk_writes_completed_total'],
    by,
    'rate_sum',
    name,
  ),
  input_relabel_configs: [
    { source_labels: ['__name__'], target_label: 'counter' },
    { target_label: '__name__', replacement: 'kvm_disk_ios' },
  ],
});

/** The recorded series that are sums of counters: the others need several metrics, or the sums of others. */
const streams = [
  streamed('kvm_vm_exits_total', ['vm'], 'rate_sum', 'vm:kvm_exits:rate'),
  streamed('kvm_vm_exits_total', [], 'rate_sum', 'host:kvm_exits:rate'),
  ofDisks(['vm', 'disk'], 'vm_disk:kvm_disk_ios:rate'),
  ofDisks(['vm'], 'vm:kvm_ios:rate'),
  ofDisks([], 'host:kvm_ios:rate'),
  streamed('kvm_thread_cpu_seconds_total', ['vm', 'role'], 'rate_sum', 'vm_role:kvm_cpu_seconds:rate'),
  streamed('kvm_thread_cpu_seconds_total', ['vm'], 'rate_sum', 'vm:kvm_cpu_seconds:rate'),
  streamed('kvm_thread_cpu_seconds_total', ['role'], 'rate_sum', 'host_role:kvm_cpu_seconds:rate'),
  streamed('kvm_vm_io_path_events_total', ['vm', 'step'], 'rate_sum', 'vm_step:kvm_io_path_events:rate'),
  streamed('kvm_vm_io_path_events_total', ['step'], 'rate_sum', 'host_step:kvm_io_path_events:rate'),
  streamed('kvm_vm_halt_poll_fail_seconds_total', ['vm'], 'rate_sum', 'vm:kvm_halt_poll_fail_seconds:rate'),
  streamed('kvm_cpu_wait_seconds_total', [], 'rate_sum', 'host:kvm_cpu_wait_seconds:rate'),
  streamed('kvm_vm_vcpus', [], 'count_series', 'host:kvm_vms:count'),
];

const vmagentJob = {
  ...job,
  // vmagent 1.79 has no limits of labels; series_limit is of one target and of 24 hours.
  label_limit: undefined,
  label_value_length_limit: undefined,
  series_limit: 2 * SAMPLE_LIMIT,
};

/** Debian's promtool is built without this discovery, vmagent is not. */
const kubernetes = as(
  'kubernetes',
  { kubernetes_sd_configs: [{ role: 'pod', namespaces: { names: ['kvm-telemetry'] } }] },
  [
    {
      source_labels: [
        '__meta_kubernetes_pod_label_app_kubernetes_io_name',
        '__meta_kubernetes_pod_container_port_name',
      ],
      regex: 'kvm-telemetry;metrics',
      action: 'keep',
    },
    // The node stays when the pod is replaced.
    { source_labels: ['__meta_kubernetes_pod_node_name'], target_label: 'instance' },
  ],
  vmagentJob,
);

/** Sums of the store, once a minute. */
function clusterRules(): object[] {
  return recordingFile()
    .groups.filter(({ name }) => name === CENTRAL_GROUP)
    .map(({ name, rules }) => ({ name, interval: '1m', rules }));
}

const CENTRAL_ALERTS = [
  'KvmTelemetryHostLagging',
  'KvmTelemetrySamplesLost',
  'KvmTelemetryStoreDiskFull',
  'KvmTelemetryTwoWriters',
];

/** The alerts on faults that only the store can see. Any vmalert accepts them. */
function centralAlerts(): object[] {
  return withoutKeepFiringFor(alertingFile()).groups.map(({ rules }) => ({
    name: 'kvm-telemetry-central',
    rules: rules.filter(({ alert = '' }) => CENTRAL_ALERTS.includes(alert)),
  }));
}

/** A year and a month. */
const RETENTION = `${24 * 396}h`;
/** A function, because YAML writes an alias for an object that occurs twice. */
const inMemory = (): object => ({ kvstore: { store: 'inmemory' } });

/** Limits of a tenant with 1,000 hosts of 50 VMs (docs/fleet.md), twice over. The defaults of Cortex and Mimir refuse that. */
const limits = {
  ingestion_rate: 300_000,
  ingestion_burst_size: 600_000,
  max_global_series_per_user: 5_000_000,
  max_label_value_length: LABEL_VALUE_LIMIT,
  out_of_order_time_window: '2h',
  compactor_blocks_retention_period: RETENTION,
  // Of two agents with the same rack one is read.
  accept_ha_samples: true,
  ha_cluster_label: 'rack',
  ha_replica_label: 'replica',
};

/** A minimal installation: one process with files. @param engine names its folder */
const single = (engine: string): Readonly<Record<string, object>> => ({
  server: { http_listen_port: 9009, grpc_listen_port: 9095 },
  blocks_storage: {
    backend: 'filesystem',
    filesystem: { dir: `/var/lib/${engine}/blocks` },
    tsdb: { dir: `/var/lib/${engine}/tsdb` },
    bucket_store: { sync_dir: `/var/lib/${engine}/sync` },
  },
  ruler: {
    rule_path: `/var/lib/${engine}/ruler`,
    alertmanager_url: 'http://alertmanager:9093',
    evaluation_interval: '1m',
    enable_api: true,
  },
  // One folder for each tenant.
  ruler_storage: { backend: 'local', local: { directory: `/etc/${engine}/rules` } },
});

const cortex = {
  auth_enabled: true,
  ...single('cortex'),
  distributor: {
    shard_by_all_labels: true,
    // Cortex takes no other store here than etcd and consul.
    ha_tracker: {
      enable_ha_tracker: true,
      kvstore: { store: 'etcd', etcd: { endpoints: ['http://localhost:2379'] } },
    },
  },
  ingester: { lifecycler: { ring: { ...inMemory(), replication_factor: 1 } } },
  compactor: { data_dir: '/var/lib/cortex/compactor', sharding_ring: inMemory() },
  // The target `all` includes an Alertmanager, which needs a folder and would listen for peers.
  alertmanager: {
    external_url: 'http://localhost:9009/alertmanager',
    cluster: { listen_address: '' },
  },
  alertmanager_storage: { backend: 'local', local: { path: '/etc/cortex/alertmanager' } },
  limits: {
    ...limits,
    max_series_per_user: 0,
    max_series_per_metric: 0,
    // The newest samples are still in the agents' queues.
    ruler_query_offset: '30s',
  },
};

const mimir = {
  multitenancy_enabled: true,
  ...single('mimir'),
  distributor: { ha_tracker: { enable_ha_tracker: true, kvstore: { store: 'memberlist' } } },
  ingester: { ring: { ...inMemory(), replication_factor: 1 } },
  compactor: { data_dir: '/var/lib/mimir/compactor' },
  limits: {
    ...limits,
    // 0 is no limit; there may be more racks than 100.
    ha_max_clusters: 0,
    ruler_max_rules_per_rule_group: 50,
    ruler_evaluation_delay_duration: '1m',
  },
};

/** First lines of files for engines that no package here has. */
export const FLEET_RUNS: ReadonlyMap<string, string> = new Map([
  ['cortex.yml', 'Ran with Cortex 1.19.1 on 2026-11-28, never in CI.'],
  ['mimir.yml', 'Never run: the keys are those of the public reference of Mimir.'],
]);

/** Contents of `deploy/fleet`, by name. */
export function fleetFiles(): ReadonlyMap<string, object> {
  const recorded = recordedAllowList();
  return new Map<string, object>([
    [
      'prometheus-server.yml',
      {
        global,
        rule_files: ['rules/recording.yaml', 'rules/alerting.yaml'],
        scrape_configs: [job, itself(9090)],
        remote_write: [remoteWrite(recorded)],
      },
    ],
    [
      'prometheus-agent.yml',
      { global, scrape_configs: [job, itself(9090)], remote_write: [remoteWrite(rawAllowList())] },
    ],
    [
      'vmagent.yml',
      {
        global: {
          scrape_interval: global.scrape_interval,
          scrape_timeout: global.scrape_timeout,
          external_labels: EXTERNAL,
        },
        scrape_configs: [vmagentJob, itself(8429)],
      },
    ],
    ['vmagent-to-central.yml', [keep(recorded)]],
    ['vmagent-stream-aggregation.yml', streams],
    [
      'federation.yml',
      {
        global: { scrape_interval: '1m', scrape_timeout: '30s' },
        scrape_configs: [
          {
            job_name: 'racks',
            // The labels of the rack's series win over those of the rack's Prometheus.
            honor_labels: true,
            metrics_path: '/federate',
            params: { 'match[]': [`{__name__=~"${recorded.join('|')}"}`] },
            sample_limit: SAMPLE_LIMIT,
            static_configs: [{ targets: ['rack1.example.org:9090', 'rack2.example.org:9090'] }],
          },
        ],
      },
    ],
    ['cortex.yml', cortex],
    ['mimir.yml', mimir],
    ['discovery.yml', { global, scrape_configs: discovery }],
    ['discovery-kubernetes.yml', { scrape_configs: [kubernetes] }],
    [
      'central-rules.yaml',
      {
        groups: [...clusterRules(), ...centralAlerts()],
      },
    ],
  ]);
}
