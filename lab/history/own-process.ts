import type { Family } from '../../exporter/metrics/families.ts';
import type { HistorySink } from './sink.ts';

/** Milliseconds per collector, made up in the proportions of docs/performance.md. */
const PROBES = {
  vms: 2,
  threads: 9,
  qmp: 14,
  trace: 6,
  block: 1.5,
  schedstat: 0.4,
  interrupts: 1.2,
  affinity: 3,
};
/** Seconds between two runs of each task. */
const TASKS = { inventory: 10, stages: 15, sampler: 1, trace: 2 };
const BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
const MEGABYTE = 1 << 20;

/**
 * Adds series that a simulation has no clock for (durations, CPU and memory of the exporter), so that the
 * exporter dashboard has data. The numbers are made up.
 */
export function withOwnProcess(sink: HistorySink): HistorySink {
  let collections = 0;
  return {
    take(families, at) {
      collections++;
      // A wave, so that the values are not constant.
      const wave = 1 + 0.2 * Math.sin(at / 180);
      const scrape = 0.045 * wave;
      sink.take(
        [
          ...families,
          family('gauge', 'scrape_duration_seconds', [['', scrape + 0.004]]),
          family(
            'gauge',
            'kvm_telemetry_collector_duration_seconds',
            Object.entries(PROBES).map(([collector, ms]) => [`collector="${collector}"`, (ms / 1000) * wave]),
          ),
          family('gauge', 'kvm_telemetry_task_interval_seconds', byTask(1)),
          family('gauge', 'kvm_telemetry_task_last_run_age_seconds', byTask(0.5 * wave)),
          family('counter', 'process_cpu_seconds_total', [['', collections * 0.31]]),
          family('gauge', 'process_resident_memory_bytes', [['', (88 + 6 * wave) * MEGABYTE]]),
          family('gauge', 'kvm_telemetry_config_last_reload_successful', [['', 1]]),
          histogram('kvm_telemetry_scrape_duration_seconds', collections, scrape),
          histogram('kvm_telemetry_inventory_duration_seconds', collections, 0.012),
          histogram('kvm_telemetry_sampler_duration_seconds', collections * 15, 0.003),
        ],
        at,
      );
    },
  };
}

/** Runs of each task and their number of intervals, in seconds. */
function byTask(intervals: number): [string, number][] {
  return Object.entries(TASKS).map(([task, seconds]) => [`task="${task}"`, seconds * intervals]);
}

function family(type: Family['type'], name: string, samples: (readonly [string, number])[]): Family {
  const labels = samples.map(([label]) => label);
  return { name, type, help: 'Made up.', labels, values: samples.map(([, value]) => value), suffixes: [] };
}

/** A histogram with this many observations, all of the same duration. */
function histogram(name: string, count: number, seconds: number): Family {
  const all: [string, string, number][] = [
    ...BOUNDS.map((le): [string, string, number] => ['_bucket', `le="${le}"`, le >= seconds ? count : 0]),
    ['_bucket', 'le="+Inf"', count],
    ['_sum', '', count * seconds],
    ['_count', '', count],
  ];
  return {
    name,
    type: 'histogram',
    help: 'Made up.',
    labels: all.map(([, label]) => label),
    values: all.map(([, , value]) => value),
    suffixes: all.map(([suffix]) => suffix),
  };
}
