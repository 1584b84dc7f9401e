import type { Cases, Expected } from './panels.ts';
import { FIRING_OF_EXPORTER } from './shared.ts';

const both = (value: Expected): Record<string, Expected> => ({
  'sim-host:9954': value,
  'other-host:9954': value,
});
/** Sets that the history traces. */
const SETS = [
  'exits',
  'notifications',
  'interrupts',
  'halt_poll',
  'block',
  'exit_duration',
  'block_duration',
];
const sets = (value: Expected): Record<string, Expected> =>
  Object.fromEntries(SETS.map((set) => [set, value]));

/** lab/history/own-process.ts makes up the metrics of the process. These are its numbers. */
export const exporter: Cases = {
  'table Firing alerts': FIRING_OF_EXPORTER,
  'stat Exporters': { unit: 'short', is: () => ({ Exporters: 2 }) },
  'stat Failing collectors': { unit: 'short', is: () => ({ 'Failing collectors': 2 }) },
  'stat Series': { unit: 'short', is: () => ({ Series: [600, 10_000] }) },
  'stat Dropped series': { unit: 'short', is: () => ({ 'Dropped series': 0 }) },
  'stat Dropped events': { unit: 'eps', is: () => ({ 'Dropped events': 0 }) },
  'stat CPU': { unit: 'percentunit', is: () => ({ CPU: (2 * 0.31) / 15 }) },
  'state-timeline Collector success': {
    unit: 'none',
    called: { 0: 'failing', 1: 'works' },
    others: true,
    // The worst of the two hosts.
    is: () => ({ qmp: 0, kvm_debugfs: 0, threads: 1, block: 1 }),
  },
  'timeseries Collector duration': {
    unit: 's',
    others: true,
    is: () => ({ qmp: [0.0112, 0.0168], vms: [0.0016, 0.0024], threads: [0.0072, 0.0108] }),
  },
  // Half an interval and up to a fifth of it, of each task.
  'timeseries Age of the last run, in intervals': {
    unit: 'none',
    is: () => ({
      inventory: [0.4, 0.6],
      stages: [0.4, 0.6],
      sampler: [0.4, 0.6],
      trace: [0.4, 0.6],
    }),
  },
  'timeseries Scrape duration, measured by Prometheus': { unit: 's', is: () => both([0.04, 0.058]) },
  'timeseries Collection, 99th percentile': { unit: 's', is: () => both([0.025, 0.1]) },
  'timeseries Series': {
    unit: 'short',
    is: () => ({ 'sim-host:9954': [500, 10_000], 'other-host:9954': [100, 2000] }),
  },
  'timeseries Dropped events': { unit: 'eps', is: () => sets(0) },
  'timeseries Entries in the fullest map': {
    unit: 'short',
    is: () => ({ ...sets([1, 10_000]), halt_poll: 0 }),
  },
  'timeseries Active share of trace sets': {
    unit: 'percentunit',
    is: () => ({ ...sets(1), exit_duration: [0.01, 0.5], block_duration: [0.01, 0.5] }),
  },
  'timeseries CPU': { unit: 'percentunit', is: () => both(0.31 / 15) },
  'timeseries CPU for each scrape': { unit: 's', is: () => both(0.31) },
  'timeseries Memory': { unit: 'bytes', is: () => both([92.8 * 2 ** 20, 95.2 * 2 ** 20]) },
  'timeseries Sampler and inventory, 99th percentile': {
    unit: 's',
    is: () => ({
      'sim-host:9954 sampler': [0.001, 0.005],
      'other-host:9954 sampler': [0.001, 0.005],
      'sim-host:9954 inventory': [0.01, 0.025],
      'other-host:9954 inventory': [0.01, 0.025],
    }),
  },
  'table Versions': {
    key: ['Host'],
    units: {},
    rows: () => ({
      'sim-host:9954': { 'Node.js': process.versions.node, 'Trace backend': 'tracefs', Configuration: 1 },
      'other-host:9954': { 'Node.js': process.versions.node, 'Trace backend': 'tracefs', Configuration: 1 },
    }),
  },
};
