import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { alertRules } from '../../alerts/alerting.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hasTool } from '../../testing/tools.ts';

const RULES = fileURLToPath(new URL('../../../alerts/generated/alerting.yaml', import.meta.url));
const STEP = 15;
const MINUTE = 60;

/** A series by name and labels, and its value while the alert should hold and afterwards. */
type Input = readonly [series: string, holds: number, over?: number];

/**
 * Two sides of a limit. Recorded series are input here, because their rules have tests of their own. Every number is
 * repeated here, so that a changed limit must be changed in two places.
 */
interface Boundary {
  readonly alert: string;
  readonly limit: string;
  /** `side` is 1% beyond the limit, or 1% within it. */
  readonly inputs: (side: number) => readonly Input[];
  /** Minutes. */
  readonly for: number;
  readonly keep: number;
  /** Seconds until it holds for the first time. */
  readonly begins?: number;
  /** Seconds for which it still holds after the fault has ended. */
  readonly lingers?: number;
}

const HOST = 'job="kvm-telemetry",instance="kvm1:9954"';
const VM = `${HOST},vm="db"`;
const drift = (kind: string): string => `kvm_thread_affinity_drift{${VM},thread="vcpu0",kind="${kind}"}`;
/** 1 on the bad side, 0 on the good one. */
const isBad = (side: number): number => (side > 1 ? 1 : 0);

const kinds = (alert: string, names: readonly string[], pending: number, keep: number): Boundary[] =>
  names.map((kind) => ({
    alert,
    limit: `a thread with ${kind}`,
    for: pending,
    keep,
    inputs: (side) => [
      [drift(kind), isBad(side), 0],
      // The alert does not depend on other values.
      [drift('another'), 1],
    ],
  }));

const roles = ['iothread', 'vhost', 'emulator'].map(
  (role): Boundary => ({
    alert: 'KvmIoThreadSaturated',
    limit: `95% of ${role}`,
    for: 10,
    keep: 5,
    inputs: (side) => [
      [`vm_role:kvm_run_seconds:max_rate{${VM},role="${role}"}`, 0.95 * side, 0.5],
      [`vm_role:kvm_run_seconds:max_rate{${VM},role="vcpu"}`, 1],
      [`kvm_vm_technique_state{${VM},technique="exitless_polling",state="lost"}`, 1],
    ],
  }),
);

const polling = { alert: 'KvmPollingRegressed', for: 5, keep: 5 } as const;
const stalled = (side: number, inFlight: number, completed: number): readonly Input[] => [
  [`kvm_vm_block_device_info{${VM},device="nvme0n1",depth="0"}`, 1],
  [`kvm_block_io_now{${HOST},device="nvme0n1",direction="read"}`, inFlight * isBad(side), 0],
  [`kvm_block_io_now{${HOST},device="nvme0n1",direction="write"}`, 0],
  [`kvm_block_reads_completed_total{${HOST},device="nvme0n1"}`, 7],
  [`kvm_block_writes_completed_total{${HOST},device="nvme0n1"}`, completed],
  [`kvm_block_discards_completed_total{${HOST},device="nvme0n1"}`, 7],
];

const BOUNDARIES: readonly Boundary[] = [
  {
    alert: 'KvmExitStorm',
    limit: '10,000 exits',
    for: 2,
    keep: 5,
    inputs: (side) => [[`vm:kvm_excess_exits:per_vcpu{${VM}}`, 10_000 * side, 0]],
  },
  {
    alert: 'KvmExitStormAgainstBaseline',
    limit: 'four times the baseline',
    for: 5,
    keep: 10,
    inputs: (side) => [
      [`vm:kvm_excess_exits:per_vcpu{${VM}}`, 4000 * side, 0],
      [`vm:kvm_excess_exits:baseline{${VM}}`, 1000],
    ],
  },
  {
    alert: 'KvmExitStormAgainstBaseline',
    limit: '2,000 exits',
    for: 5,
    keep: 10,
    inputs: (side) => [
      [`vm:kvm_excess_exits:per_vcpu{${VM}}`, 2000 * side, 0],
      [`vm:kvm_excess_exits:baseline{${VM}}`, 0],
    ],
  },
  {
    alert: 'KvmExitLatencyHigh',
    limit: 'a millisecond',
    for: 10,
    keep: 10,
    inputs: (side) => [[`vm:kvm_exit_duration_seconds:p99{${VM}}`, 0.001 * side, 0]],
  },
  ...kinds('KvmAffinityDrift', ['mask_widened', 'unpinned', 'mask_changed', 'migrating'], 2, 3),
  ...kinds('KvmThreadsShareCpu', ['shared_cpu', 'shared_core'], 2, 3),
  ...kinds('KvmCrossNodeIo', ['cross_node'], 15, 10),
  {
    alert: 'KvmVcpuStarved',
    limit: '10% of the time',
    for: 5,
    keep: 5,
    inputs: (side) => [
      [`vm_role:kvm_wait_seconds:max_rate{${VM},role="vcpu"}`, 0.1 * side, 0],
      [`vm_role:kvm_wait_seconds:max_rate{${VM},role="iothread"}`, 0.9],
    ],
  },
  {
    alert: 'KvmVcpuStarved',
    limit: '10% of the time beyond the time for which a quota stops the VM',
    for: 5,
    keep: 5,
    inputs: (side) => [
      [`vm_role:kvm_wait_seconds:max_rate{${VM},role="vcpu"}`, 0.8 + 0.1 * side, 0],
      [`vm:kvm_throttled_seconds:max_rate{${VM}}`, 0.8],
    ],
  },
  {
    alert: 'KvmVmThrottled',
    limit: 'a tenth of a CPU',
    for: 5,
    keep: 5,
    inputs: (side) => [[`vm:kvm_throttled_seconds:max_rate{${VM}}`, 0.1 * side, 0]],
  },
  ...roles,
  {
    ...polling,
    limit: 'one kick, injection or EOI an I/O',
    inputs: (side) => [
      [`vm:kvm_io_path_events:per_io{${VM}}`, side, 0],
      [`vm:kvm_ios:rate{${VM}}`, 5000],
      [`kvm_vm_stage_info{${VM},stage="exitless_polling",source="declared"}`, 1],
    ],
  },
  {
    ...polling,
    limit: '1,000 I/Os a second',
    inputs: (side) => [
      [`vm:kvm_io_path_events:per_io{${VM}}`, 3, 0],
      [`vm:kvm_ios:rate{${VM}}`, 1000 * side],
      [`kvm_vm_stage_info{${VM},stage="pinned_queues",source="declared"}`, 1],
    ],
  },
  {
    ...polling,
    limit: 'polling in force before',
    begins: STEP,
    inputs: (side) => [
      [`vm:kvm_io_path_events:per_io{${VM}}`, 3, 0],
      [`vm:kvm_ios:rate{${VM}}`, 5000],
      [`kvm_vm_technique_state{${VM},technique="exitless_polling",state="in_force"} ${isBad(side)}`, 0],
    ],
  },
  {
    alert: 'KvmHaltPollWaste',
    limit: '5% of each vCPU',
    for: 10,
    keep: 10,
    begins: STEP,
    inputs: (side) => [
      [`vm:kvm_halt_poll_fail_seconds:rate{${VM}}`, 4 * 0.05 * side, 0],
      [`kvm_vm_vcpus{${VM}}`, 4],
      [`kvm_vm_halt_poll_success_seconds_total{${VM}}`, 100],
    ],
  },
  {
    alert: 'KvmQueueImbalance',
    limit: 'a fairness of 0.5',
    for: 15,
    keep: 10,
    inputs: (side) => [
      [`kvm_vm_queue_fairness_ratio{${VM},device="vda"}`, 0.5 / side, 1],
      [`vm:kvm_ios:rate{${VM}}`, 20_000],
    ],
  },
  {
    alert: 'KvmQueueImbalance',
    limit: '10,000 I/Os a second',
    for: 15,
    keep: 10,
    inputs: (side) => [
      [`kvm_vm_queue_fairness_ratio{${VM},device="vda"}`, 0.2],
      [`vm:kvm_ios:rate{${VM}}`, 10_000 * side, 0],
    ],
  },
  {
    alert: 'KvmDiskLatencyHigh',
    limit: '20 ms',
    for: 5,
    keep: 5,
    inputs: (side) => [[`vm_disk:kvm_disk_latency_seconds:mean{${VM},disk="vda"}`, 0.02 * side, 0]],
  },
  {
    alert: 'KvmIoStalled',
    limit: 'one request in flight',
    for: 2,
    keep: 2,
    begins: STEP,
    inputs: (side) => stalled(side, 1, 7),
  },
  {
    alert: 'KvmTechniqueLost',
    limit: 'a technique that is lost',
    for: 2,
    keep: 5,
    inputs: (side) => [
      [`kvm_vm_technique_state{${VM},technique="affinity",state="lost"}`, isBad(side), 0],
      [`kvm_vm_technique_since_timestamp_seconds{${VM},technique="affinity"}`, 0],
      [`kvm_vm_technique_evidence_ratio{${VM},technique="affinity",evidence="pinned_threads"}`, 0.5],
    ],
  },
  {
    alert: 'KvmTelemetryTraceDrops',
    limit: 'one event',
    for: 5,
    keep: 10,
    begins: STEP,
    lingers: 10 * MINUTE - STEP,
    inputs: (side) => [[`kvm_telemetry_trace_dropped_total{${HOST},set="exits"} +`, isBad(side)]],
  },
  ...[
    'prometheus_remote_storage_samples_failed_total{job="agent",instance="rack1:9090"}',
    'prometheus_remote_storage_samples_dropped_total{job="agent",instance="rack1:9090",reason="too_old"}',
    'vmagent_remotewrite_packets_dropped_total{job="agent",instance="rack1:8429"}',
    'vm_persistentqueue_bytes_dropped_total{job="agent",instance="rack1:8429"}',
    'vm_rows_ignored_total{job="victoria-metrics",instance="self",reason="small_timestamp"}',
    'prometheus_target_scrapes_sample_out_of_bounds_total{job="agent",instance="rack1:9090"}',
    'prometheus_target_scrapes_sample_out_of_order_total{job="agent",instance="rack1:9090"}',
    'prometheus_target_scrapes_sample_duplicate_timestamp_total{job="agent",instance="rack1:9090"}',
  ].map(
    (counter): Boundary => ({
      alert: 'KvmTelemetrySamplesLost',
      limit: `one of ${counter.split('{')[0]}`,
      for: 5,
      keep: 10,
      begins: STEP,
      lingers: 10 * MINUTE - STEP,
      inputs: (side) => [
        [`${counter} +`, isBad(side)],
        // Samples dropped by relabelling, and values that are no number.
        ['prometheus_remote_storage_samples_dropped_total{job="agent",instance="rack1:9090"} +', 1000],
        ['vm_rows_ignored_total{job="victoria-metrics",instance="self",reason="nan_value"} +', 1],
      ],
    }),
  ),
  {
    alert: 'KvmTelemetryStoreDiskFull',
    limit: '10% of what is free or its own',
    for: 5,
    keep: 10,
    inputs: (side) => [
      ['vm_free_disk_space_bytes{job="victoria-metrics",instance="self",path="/data"}', 100 / side, 5000],
      ['vm_data_size_bytes{job="victoria-metrics",instance="self",type="indexdb"}', 100],
      ['vm_data_size_bytes{job="victoria-metrics",instance="self",type="storage/big"}', 800],
    ],
  },
  {
    alert: 'KvmTelemetryTaskStalled',
    limit: 'five intervals',
    for: 5,
    keep: 1,
    inputs: (side) => [
      [`kvm_telemetry_task_last_run_age_seconds{${HOST},task="sampler"}`, 5 * 2 * side, 1],
      [`kvm_telemetry_task_interval_seconds{${HOST},task="sampler"}`, 2],
      // A task of a longer interval may be as old.
      [`kvm_telemetry_task_last_run_age_seconds{${HOST},task="inventory"}`, 49],
      [`kvm_telemetry_task_interval_seconds{${HOST},task="inventory"}`, 10],
    ],
  },
  {
    alert: 'KvmTelemetrySeriesLimited',
    limit: 'one series',
    for: 10,
    keep: 10,
    inputs: (side) => [[`kvm_telemetry_series_dropped{${HOST}}`, isBad(side), 0]],
  },
  {
    alert: 'KvmTelemetrySeriesBudget',
    limit: '200,000 series',
    for: 15,
    keep: 15,
    inputs: (side) => [[`scrape_samples_scraped{${HOST}}`, 200_000 * side, 100]],
  },
  {
    alert: 'KvmTelemetryDown',
    limit: 'a scrape that fails',
    for: 5,
    keep: 1,
    inputs: (side) => [
      [`up{${HOST}}`, 1 - isBad(side), 1],
      ['up{job="node",instance="kvm1:9100"}', 0],
    ],
  },
  {
    alert: 'KvmApicvLost',
    limit: 'a vCPU that used APICv',
    for: 10,
    keep: 5,
    begins: STEP,
    inputs: (side) => [
      [`kvm_vcpu_apicv_active{${VM},vcpu="0"} ${isBad(side)}`, 0, 1],
      // One VM that never used APICv.
      ['kvm_vcpu_apicv_active{job="kvm-telemetry",instance="kvm1:9954",vm="other",vcpu="0"}', 0],
    ],
  },
  {
    alert: 'KvmTelemetryCollectorFailing',
    limit: 'a collector that worked',
    for: 15,
    keep: 5,
    begins: STEP,
    inputs: (side) => [
      [`kvm_telemetry_collector_success{${HOST},collector="trace"} ${isBad(side)}`, 0, 1],
      // A collector that never worked.
      [`kvm_telemetry_collector_success{${HOST},collector="lockdown"}`, 0],
    ],
  },
];

/**
 * These alerts fire because series end or values alternate, which no limit of a value describes. alerts/tests has
 * both sides of their times.
 */
const NO_VALUE: readonly Pick<Boundary, 'alert' | 'for' | 'keep'>[] = [
  { alert: 'KvmTelemetryHostMissing', for: 10, keep: 5 },
  { alert: 'KvmTelemetryHostLagging', for: 5, keep: 5 },
  { alert: 'KvmTelemetryTwoWriters', for: 5, keep: 10 },
];

/** Incidents that never cause an alert. */
const QUIET: readonly (Pick<Boundary, 'alert' | 'limit'> & { readonly inputs: readonly Input[] })[] = [
  {
    alert: 'KvmIoThreadSaturated',
    limit: 'a VM that polls',
    inputs: [
      [`vm_role:kvm_run_seconds:max_rate{${VM},role="iothread"}`, 1],
      [`kvm_vm_technique_state{${VM},technique="exitless_polling",state="in_force"}`, 1],
    ],
  },
  {
    alert: 'KvmPollingRegressed',
    limit: 'pollers that sleep: polling is in force',
    inputs: [
      [`vm:kvm_io_path_events:per_io{${VM}}`, 3],
      [`vm:kvm_ios:rate{${VM}}`, 5000],
      [`kvm_vm_technique_state{${VM},technique="exitless_polling",state="in_force"}`, 1],
    ],
  },
  {
    alert: 'KvmExitStormAgainstBaseline',
    limit: 'a VM without a baseline',
    inputs: [[`vm:kvm_excess_exits:per_vcpu{${VM}}`, 9000]],
  },
];

const count = (state: string, alert: string) => `count(ALERTS{alertname="${alert}",alertstate="${state}"})`;
const at = (seconds: number, expr: string, isThere: boolean): object => ({
  expr,
  eval_time: `${seconds}s`,
  exp_samples: isThere ? [{ labels: '{}', value: 1 }] : [],
});

/** A series in promtool's notation. A counter grows at each scrape, from 0 unless the series gives another start. */
function seriesOf([text, holds, over = holds]: Input, scrapes: number, more: number): object {
  const [name = '', first] = text.split(' ');
  if (first === '+') {
    const end = holds * scrapes;
    return { series: name, values: `0+${holds}x${scrapes} ${end}+0x${more}` };
  }
  const begin = first === undefined ? '' : `${first} `;
  return { series: name, values: `${begin}${holds}+0x${scrapes - (begin === '' ? 0 : 1)} ${over}+0x${more}` };
}

function testOf(
  { alert, inputs, for: pending, keep, begins = 0, lingers = 0 }: Boundary,
  side: number,
): object {
  const fires = begins + pending * MINUTE;
  const last = fires + 3 * MINUTE;
  // The first evaluation at which it does not hold.
  const ends = last + STEP + lingers;
  const gone = ends + keep * MINUTE;
  const scrapes = last / STEP;
  const firing = count('firing', alert);
  return {
    interval: `${STEP}s`,
    input_series: inputs(side).map((input) => seriesOf(input, scrapes, (gone - last) / STEP + 8)),
    promql_expr_test:
      side > 1
        ? [
            at(begins, count('pending', alert), true),
            at(fires - STEP, firing, false),
            ...[fires, last, ends, gone - STEP].map((time) => at(time, firing, true)),
            at(gone + STEP, firing, false),
          ]
        : [fires - STEP, fires, last, ends, gone].map((time) => at(time, firing, false)),
  };
}

describe('the limits of each alert', () => {
  const folder = temporaryFolder({ after });
  let written = 0;

  function promtool(tests: readonly object[]): void {
    const file = join(folder, `${written++}.yaml`);
    writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: `${STEP}s`, tests }));
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}${stderr}`);
  }

  for (const boundary of BOUNDARIES) {
    const { alert, limit, for: pending, keep } = boundary;
    it(`${alert}: ${limit}, for ${pending} min, and ${keep} min after it`, (context) => {
      if (!hasTool(context, 'promtool', 'prometheus')) return;
      promtool([testOf(boundary, 1.01), testOf(boundary, 0.99)]);
    });
  }

  for (const { alert, limit, inputs } of QUIET)
    it(`${alert} does not fire for ${limit}`, (context) => {
      if (!hasTool(context, 'promtool', 'prometheus')) return;
      const input_series = inputs.map((input) => seriesOf(input, 240, 1));
      promtool([
        { interval: `${STEP}s`, input_series, promql_expr_test: [at(3600, count('firing', alert), false)] },
      ]);
    });

  it('are complete: a new alert needs a line in BOUNDARIES', () => {
    assert.deepEqual(
      [...new Set([...BOUNDARIES, ...NO_VALUE].map(({ alert }) => alert))].sort(),
      Object.keys(alertRules).sort(),
    );
  });

  it('are those of the rules', () => {
    for (const { alert, for: pending, keep } of [...BOUNDARIES, ...NO_VALUE]) {
      const rule = alertRules[alert as keyof typeof alertRules];
      assert.deepEqual([rule.for, rule.keepFiringFor], [`${pending}m`, `${keep}m`], alert);
    }
  });
});
