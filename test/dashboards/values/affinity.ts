import assert from 'node:assert/strict';
import type { TargetAnswer } from '../../../dashboards/preview/preview.ts';
import { all, each, isOnIoPath, RATE, sharedCpus } from './host.ts';
import { type Cases, type Moment, near, RANGE } from './panels.ts';
import { FIRING } from './shared.ts';
import { SCRAPE } from './truth.ts';

const SIM = { instance: ['sim-host:9954'] };
const PINNED = { ...SIM, vm: ['db', 'kv', 'mail', 'build'] };
const KV = { ...SIM, vm: ['kv'] };

const thread = (vm = '', role = '', name = ''): string | undefined =>
  isOnIoPath(role) ? `${vm} ${name}` : undefined;
const cpus = ({ truth, at }: Moment): Record<string, number> => truth.values('cpu', at, thread);

/** Moves between two scrapes, which is when the exporter of the history samples. */
function moves(moment: Moment): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let at = moment.at - RATE; at < moment.at; at += SCRAPE) {
    const [before, after] = [cpus({ ...moment, at }), cpus({ ...moment, at: at + SCRAPE })];
    for (const [name, cpu] of Object.entries(after))
      counts[name] = (counts[name] ?? 0) + (before[name] === cpu ? 0 : 1 / RATE);
  }
  return counts;
}

const kicks = (
  { truth, at }: Moment,
  vm: string,
  window: number,
  by: (queue: string, vcpu: string) => string,
) =>
  truth.rates('kicks', at, window, (name, queue = '', vcpu = '') =>
    name === vm ? by(queue, vcpu) : undefined,
  );

export const affinity: Cases = {
  'state-timeline CPU of each thread': { unit: 'none', wishes: SIM, is: cpus },
  'state-timeline Threads that drifted': [
    {
      unit: 'none',
      minute: 23,
      wishes: KV,
      others: true,
      called: { 0: 'as expected', 1: 'drifts' },
      is: () => ({
        'kv iothread:io0 shared_cpu': 1,
        'kv vcpu0 shared_cpu': 1,
        'kv iothread:io0 mask_changed': 1,
      }),
    },
    { unit: 'none', minute: 37, wishes: KV, others: true, is: () => ({ 'kv iothread:io0 cross_node': 1 }) },
    { unit: 'none', minute: 29, wishes: KV, others: true, is: () => ({ 'kv iothread:io0 shared_cpu': 0 }) },
  ],
  'timeseries Migrations per minute': { wishes: SIM, check: checkMigrations },
  'table CPUs shared by threads': {
    key: ['CPU'],
    minute: 23,
    wishes: SIM,
    units: { Threads: 'short' },
    rows: (moment) =>
      each(
        Object.fromEntries(Object.entries(sharedCpus(moment)).filter(([, count]) => count > 1)),
        (Threads) => ({ Threads, Host: 'sim-host:9954' }),
      ),
  },
  'table Drift by kind': {
    key: ['VM', 'Kind'],
    minute: 23,
    wishes: SIM,
    units: { Threads: 'short' },
    // The vCPU whose CPU the I/O thread is on, and the one on the same core.
    rows: () => ({
      'kv shared_cpu': { Threads: 2 },
      'kv shared_core': { Threads: 2 },
      'kv mask_changed': { Threads: 1 },
    }),
  },
  'timeseries Allowed CPUs per thread': {
    unit: 'short',
    wishes: SIM,
    is: ({ truth, at }) => {
      const of = (what: string) => truth.values(what, at, (vm, role) => (isOnIoPath(role) ? vm : undefined));
      const counts: Record<string, number> = {};
      for (const key of Object.keys(truth.values('mask', at, thread))) {
        const vm = key.split(' ')[0] ?? '';
        counts[vm] = (counts[vm] ?? 0) + 1;
      }
      return each(of('mask'), (sum, vm) => sum / (counts[vm] ?? 0));
    },
  },
  'timeseries Memory on the nodes of the vCPUs': {
    unit: 'percentunit',
    wishes: PINNED,
    is: () => ({ db: 1, kv: 1, mail: 1, build: 1 }),
  },
  'timeseries Completions near the I/O threads': {
    unit: 'percentunit',
    // Of VMs whose I/O threads each have one CPU.
    wishes: { ...SIM, vm: ['kv', 'build'] },
    is: (moment) => {
      const { truth, at } = moment;
      // Of the NVMe of each.
      const disks = { kv: 'nvme2n1', build: 'nvme4n1' };
      const found = Object.entries(disks).flatMap(([vm, disk]) => {
        const isIo = (name = '', role = ''): boolean => name === vm && isOnIoPath(role) && role !== 'vcpu';
        const label = (name = '', role = '', thread = '') => (isIo(name, role) ? thread : undefined);
        const own = [...new Set(Object.values(truth.values('cpu', at, label)))];
        const near = own.filter((cpu) => truth.value(`completes|${disk}|${cpu}`, at) === cpu);
        return [
          [`${vm} cpu`, near.length / own.length],
          [`${vm} node`, 1],
        ] as const;
      });
      return Object.fromEntries(found);
    },
  },
  'state-timeline NUMA node of I/O threads': [
    {
      unit: 'none',
      wishes: SIM,
      is: ({ truth, at }) =>
        truth.values('node', at, (vm, role = '', name) =>
          isOnIoPath(role) && role !== 'vcpu' ? `${vm} ${name}` : undefined,
        ),
    },
    // On the other node than its disk, which is on node 0.
    {
      unit: 'none',
      minute: 37,
      wishes: KV,
      is: () => ({ 'kv iothread:io0': 1, 'kv iothread:io1': 0, 'kv iothread:io2': 0 }),
    },
  ],
  'barchart Kicks by virtqueue and vCPU': { wishes: KV, check: checkMatrix },
  'table Firing alerts': FIRING,
  'timeseries Locality of queues': {
    unit: 'percentunit',
    wishes: { ...SIM, vm: ['kv', 'build'] },
    tolerance: 0.03,
    // A queue for each vCPU, and three queues that six vCPUs take in turn.
    is: () => ({ 'kv vda': 1, 'build vda': 1 / 6 }),
  },
  'timeseries Fairness of queues': {
    unit: 'percentunit',
    wishes: { ...SIM, vm: ['kv', 'build'] },
    is: () => ({ 'kv vda': 1, 'build vda': 1 }),
  },
  'timeseries Kicks by virtqueue': {
    unit: 'eps',
    wishes: { ...SIM, vm: ['build'] },
    is: (moment) => kicks(moment, 'build', RATE, (queue) => `build queue ${queue}`),
  },
  'table Hardware queues': {
    key: ['Device', 'Queue'],
    wishes: KV,
    units: {},
    others: true,
    // Sixteen queues for 128 CPUs, of which the first 32 and their siblings are on node 0: lib/group_cpus.c.
    rows: () => ({ 'nvme2n1 0': {}, 'nvme2n1 15': {} }),
  },
  'table Interrupts of NVMe queues': {
    key: ['Controller', 'Queue'],
    wishes: KV,
    units: { Interrupts: 'eps' },
    rows: ({ truth, at }) =>
      Object.fromEntries(
        Object.entries(
          truth.rates('interrupts', at, RATE, (disk, queue, cpu) =>
            disk === 'nvme2n1' ? `${queue} ${cpu}` : undefined,
          ),
        ).map(([key, Interrupts]) => {
          const [queue, CPUs = ''] = key.split(' ');
          return [`nvme2 ${queue}`, { CPUs, Interrupts }];
        }),
      ),
  },
};

function checkMigrations(answers: readonly TargetAnswer[], moment: Moment): void {
  const series = answers[0]?.series ?? [];
  assert.equal(series.length, 10);
  const now = moves(moment);
  for (const { name, values = [] } of series) {
    const last = Number(values.find(([time]) => time === moment.start + moment.at)?.[1]);
    near(last, 60 * (now[name] ?? Number.NaN), { floor: 0.06 }, name);
    // Only what is not pinned moves.
    assert.match(name, /^(web|oltp) |vhost0$/);
  }
}

/** Of `kv` each vCPU kicks its own queue only, and all as often: the mean over the whole range. */
function checkMatrix([answer]: readonly TargetAnswer[], moment: Moment): void {
  const found = Object.fromEntries(
    (answer?.series ?? []).map(({ metric, value }) => [
      `${metric['queue']} ${metric['vcpu']}`,
      Number(value?.[1]),
    ]),
  );
  const expected = kicks(moment, 'kv', RANGE - RATE, (queue, vcpu) => `${queue} ${vcpu}`);
  for (const [key, value] of Object.entries(expected)) near(found[key] ?? 0, value, { tolerance: 0.03 }, key);
  assert.equal(Object.values(found).filter((value) => value > 0).length, 6);
  assert.ok(all(found) > 0);
}
