import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ownMetrics } from '../metrics/self.ts';
import type { TaskReading } from '../schedule/task-runs.ts';

/**
 * These come from a timer that wakes the process a hundred times a second, a tenth of what an idle exporter costs, and they
 * contain its period. `nodejs_eventloop_lag_seconds` is measured at each scrape.
 */
const FROM_A_TIMER = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (name) => `nodejs_eventloop_lag_${name}_seconds`,
);
/** As rarely as possible: prom-client has no option to leave the timer out. */
const TIMER_MS = 24 * 3600 * 1000;

/** prom-client gives these gauges the suffix of a counter, which `promtool check metrics` rejects. */
const MISNAMED = [
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
];

/** Metrics of the exporter itself and of its Node.js process. */
export interface OwnMetrics {
  readonly registry: Registry;
  readonly scrapeDuration: Histogram;
  readonly inventoryDuration: Histogram;
  readonly samplerDuration: Histogram;
  readonly scrapesCoalesced: Counter;
  readonly logLinesDropped: Counter;
  reloaded(success: boolean): void;
  /** Sets the source of the task metrics, which is read at each scrape. */
  readTasksFrom(read: () => readonly TaskReading[]): void;
}

export function createOwnMetrics(now: () => number = Date.now): OwnMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: TIMER_MS });
  for (const name of [...MISNAMED, ...FROM_A_TIMER]) registry.removeSingleMetric(name);
  const described = <N extends keyof typeof ownMetrics>(name: N) => ({
    name,
    help: ownMetrics[name].help,
    registers: [registry],
  });
  const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
  const lastReload = new Gauge(described('kvm_telemetry_config_last_reload_successful'));
  const lastSuccess = new Gauge(described('kvm_telemetry_config_last_reload_success_timestamp_seconds'));
  return {
    registry,
    scrapeDuration: new Histogram({ ...described('kvm_telemetry_scrape_duration_seconds'), buckets }),
    inventoryDuration: new Histogram({ ...described('kvm_telemetry_inventory_duration_seconds'), buckets }),
    samplerDuration: new Histogram({ ...described('kvm_telemetry_sampler_duration_seconds'), buckets }),
    scrapesCoalesced: new Counter(described('kvm_telemetry_scrapes_coalesced_total')),
    logLinesDropped: new Counter(described('kvm_telemetry_log_lines_dropped_total')),
    reloaded(success) {
      lastReload.set(success ? 1 : 0);
      if (success) lastSuccess.set(now() / 1000);
    },
    readTasksFrom(read) {
      const gauge = (name: TaskMetric, value: (reading: TaskReading) => number): void => {
        new Gauge({
          ...described(name),
          labelNames: ownMetrics[name].labels,
          collect() {
            for (const reading of read()) this.set({ task: reading.task }, value(reading));
          },
        });
      };
      gauge('kvm_telemetry_task_last_run_age_seconds', ({ ageSeconds }) => ageSeconds);
      gauge('kvm_telemetry_task_interval_seconds', ({ intervalSeconds }) => intervalSeconds);
    },
  };
}

type TaskMetric = 'kvm_telemetry_task_last_run_age_seconds' | 'kvm_telemetry_task_interval_seconds';
