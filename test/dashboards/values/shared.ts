import type { Case, Moment, TableCase } from './panels.ts';

const SIM = { instance: ['sim-host:9954'] };
const KV = { ...SIM, vm: ['kv'] };

/** In the minute and a half from then on, in milliseconds of the epoch, as Grafana's dates. */
const soonAfter = ({ start }: Moment, minute: number): readonly [number, number] => [
  (start + minute * 60) * 1000,
  (start + minute * 60 + 90) * 1000,
];

const alerts = (minute: number, rows: TableCase['rows'], more: Partial<TableCase> = {}): TableCase => ({
  key: ['Alert', 'VM'],
  minute,
  wishes: KV,
  units: { 'Active since': 'dateTimeFromNow' },
  tolerance: 0,
  rows,
  ...more,
});

/** The I/O thread of `kv` moves to the CPU of a vCPU at minute 20. Before, there is no drift. */
export const FIRING: readonly Case[] = [
  alerts(10, () => ({})),
  alerts(
    24,
    (moment) => ({
      'KvmThreadsShareCpu kv': {
        Severity: 'warning',
        Host: 'sim-host:9954',
        'Active since': soonAfter(moment, 20),
      },
      'KvmTechniqueLost kv': { Severity: 'warning', 'Active since': soonAfter(moment, 20) },
    }),
    { others: true },
  ),
  // `build` had a quota from minute 27 to 33: its vCPUs were stopped, not starved. The alert fires for five minutes longer.
  alerts(35, () => ({ 'KvmVmThrottled build': { Severity: 'warning' } }), {
    wishes: { ...SIM, vm: ['build'] },
  }),
];

/** On dashboards of hosts, without a choice of VMs. */
export const FIRING_OF_HOST: Case = alerts(
  24,
  () => ({ 'KvmThreadsShareCpu kv': { Severity: 'warning', Host: 'sim-host:9954' } }),
  { wishes: SIM, others: true },
);

/** The kernel of the other host locks down at minute 33. */
export const FIRING_OF_EXPORTER: readonly Case[] = [
  alerts(30, () => ({}), { key: ['Alert', 'Host'], wishes: {} }),
  alerts(49, () => ({ 'KvmTelemetryCollectorFailing other-host:9954': { Severity: 'warning' } }), {
    key: ['Alert', 'Host'],
    wishes: {},
  }),
];

const called = { 0: 'in force', 1: 'partly', 2: 'lost', 3: 'off', 4: 'unknown' };

export const TECHNIQUES_OF_KV: readonly Case[] = [
  {
    unit: 'none',
    minute: 24,
    wishes: KV,
    called,
    is: () => ({
      'kv affinity': 2,
      'kv exitless polling': 0,
      'kv parallel batching': 0,
      'kv pinned queues': 0,
    }),
  },
  {
    unit: 'none',
    wishes: { ...SIM, vm: ['web'] },
    is: () => ({
      'web affinity': 3,
      'web exitless polling': 3,
      'web parallel batching': 3,
      'web pinned queues': 3,
    }),
  },
];

export const TECHNIQUE_TABLE: TableCase = {
  key: ['VM', 'Technique'],
  minute: 24,
  wishes: KV,
  tolerance: 0,
  units: { State: 'none', Since: 'dateTimeFromNow', 'Times lost': 'short' },
  rows: (moment) => ({
    'kv affinity': { State: 2, Since: soonAfter(moment, 20), 'Times lost': 1 },
    'kv exitless polling': { State: 0, 'Times lost': 0 },
    'kv parallel batching': { State: 0, 'Times lost': 0 },
    'kv pinned queues': { State: 0, 'Times lost': 0 },
  }),
};

/** Of each process of the simulated host, in bytes. */
export const RESIDENT = 142_276 * 1024;
