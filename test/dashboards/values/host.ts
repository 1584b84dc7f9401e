import type { TargetAnswer } from '../../../dashboards/preview/preview.ts';
import type { Cases, Moment } from './panels.ts';
import { FIRING_OF_HOST, RESIDENT } from './shared.ts';

/** Seconds of a panel's rates. */
export const RATE = 60;
/** What one read and one write take in the devices of the history: lab/simhost/calibration.ts. */
const NVME = { read: 90e-6, write: 25e-6 };
const SATA = { read: 250e-6 };

export const iosOf = ({ truth, at }: Moment, window = RATE): Record<string, number> =>
  truth.rates('disk', at, window, (vm, _disk, operation) => (operation === 'flush' ? undefined : vm));
export const exitsOf = ({ truth, at }: Moment, window = RATE): Record<string, number> =>
  truth.rates('exits', at, window, (vm) => vm);
/** Kicks, injections and EOIs. */
export const onIoPath = ({ truth, at }: Moment, window = RATE): Record<string, number> =>
  truth.rates('steps', at, window, (vm, step) => (/kick|inject|eoi/.test(step ?? '') ? vm : undefined));
export const all = (of: Readonly<Record<string, number>>): number =>
  Object.values(of).reduce((sum, value) => sum + value, 0);
export const each = <V, W>(
  of: Readonly<Record<string, V>>,
  make: (value: V, key: string) => W,
): Record<string, W> => Object.fromEntries(Object.entries(of).map(([key, value]) => [key, make(value, key)]));

const ON_IO_PATH = ['vcpu', 'iothread', 'vhost', 'sqpoll'];
export const isOnIoPath = (role = ''): boolean => ON_IO_PATH.includes(role);

/** CPUs of which `count` threads of the I/O path ran last. */
export const sharedCpus = ({ truth, at }: Moment): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const cpu of Object.values(
    truth.values('cpu', at, (vm, role, thread) => (isOnIoPath(role) ? `${vm} ${thread}` : undefined)),
  ))
    counts[cpu] = (counts[cpu] ?? 0) + 1;
  return counts;
};

const ofAll = (value: number) => (moment: Moment) => each(exitsOf(moment), () => value);

const device = ({ truth, at }: Moment): Record<string, number> =>
  truth.rates('device', at, RATE, (name, operation) => (operation === 'flush' ? undefined : name));
/** Mean seconds of an operation by what the device is and how many of its operations are writes. */
const deviceLatency = (moment: Moment): Record<string, number> => {
  const { truth, at } = moment;
  const writes = truth.rates('device', at, RATE, (name, operation) =>
    operation === 'write' ? name : undefined,
  );
  return each(device(moment), (ios, name) => {
    if (name.startsWith('sd')) return SATA.read;
    const share = (writes[name] ?? 0) / ios;
    return share * NVME.write + (1 - share) * NVME.read;
  });
};

const SIM = { instance: ['sim-host:9954'] };
const TROUBLED = { instance: ['other-host:9954'] };

export const host: Cases = {
  'stat VMs': { unit: 'short', wishes: SIM, is: () => ({ VMs: 6 }) },
  'stat vCPUs': { unit: 'short', wishes: SIM, is: () => ({ vCPUs: 36 }) },
  'stat Exits': { unit: 'eps', wishes: SIM, is: (moment) => ({ Exits: all(exitsOf(moment)) }) },
  'stat I/Os': { unit: 'iops', wishes: SIM, is: (moment) => ({ 'I/Os': all(iosOf(moment)) }) },
  'stat Drifting threads': [
    // The I/O thread, the vCPU on its CPU and the one on its core.
    { unit: 'short', minute: 23, wishes: SIM, is: () => ({ 'Drifting threads': 3 }) },
    { unit: 'short', wishes: SIM, is: () => ({ 'Drifting threads': 0 }) },
  ],
  'stat Failing collectors': [
    { unit: 'short', wishes: SIM, is: () => ({}) },
    { unit: 'short', wishes: TROUBLED, is: () => ({ 'Failing collectors': 2 }) },
  ],
  'table VMs': {
    key: ['VM'],
    wishes: SIM,
    floor: 0.01,
    units: {
      vCPUs: 'short',
      Exits: 'eps',
      'I/Os': 'iops',
      'Exits per I/O': 'none',
      CPU: 'percentunit',
      'Longest wait': 'percentunit',
      'Drifting threads': 'short',
      'Memory on its nodes': 'percentunit',
    },
    rows: (moment) => {
      const { truth, at } = moment;
      const [exits, ios, path] = [exitsOf(moment), iosOf(moment), onIoPath(moment)];
      const cpu = truth.rates('run', at, RATE, (vm) => vm);
      const wait = truth.highest('wait', at, RATE, (vm) => vm);
      return each(ios, (io, vm) => ({
        Host: 'sim-host:9954',
        Stage: truth.stages(at).get(vm) ?? '',
        vCPUs: 6,
        Exits: exits[vm] ?? 0,
        'I/Os': io,
        'Exits per I/O': (path[vm] ?? 0) / io,
        CPU: cpu[vm] ?? 0,
        'Longest wait': wait[vm] ?? 0,
        'Drifting threads': 0,
        'Memory on its nodes': 1,
      }));
    },
  },
  'timeseries Exits': [
    { unit: 'eps', wishes: SIM, is: (moment) => exitsOf(moment) },
    // The storm in `web`.
    {
      unit: 'eps',
      minute: 15,
      wishes: { ...SIM, vm: ['web'] },
      is: (moment) => ({ web: exitsOf(moment)['web'] ?? 0 }),
    },
  ],
  'timeseries I/Os': { unit: 'iops', wishes: SIM, is: (moment) => iosOf(moment) },
  'timeseries Cores by role': {
    unit: 'suffix:cores',
    wishes: SIM,
    floor: 0.05,
    is: ({ truth, at }) => truth.rates('run', at, RATE, (_vm, role) => role),
  },
  'timeseries Run-queue wait of vCPUs': {
    unit: 'percentunit',
    wishes: SIM,
    is: ({ truth, at }) => truth.highest('wait', at, RATE, (vm, role) => (role === 'vcpu' ? vm : undefined)),
  },
  'timeseries Run-queue wait of I/O threads': {
    unit: 'percentunit',
    wishes: SIM,
    is: ({ truth, at }) => truth.highest('wait', at, RATE, (vm, role) => (role === 'vcpu' ? undefined : vm)),
  },
  'table Firing alerts': FIRING_OF_HOST,
  'timeseries Stopped by a CPU quota': {
    unit: 'suffix:cores',
    minute: 31,
    wishes: SIM,
    is: ({ truth, at }) => ({ build: truth.rate('throttled|build', at, RATE) }),
  },
  'timeseries CPU pressure by VM': {
    unit: 'percentunit',
    minute: 31,
    wishes: SIM,
    floor: 0.001,
    is: ({ truth, at }) =>
      truth.rates('pressure', at, RATE, (vm, kind) => (kind === 'some' ? vm : undefined)),
  },
  'timeseries Memory in RAM by VM': {
    unit: 'bytes',
    wishes: SIM,
    is: ofAll(RESIDENT),
  },
  'timeseries Memory in swap by VM': { unit: 'bytes', wishes: SIM, is: ofAll(0) },
  'timeseries Swapping': { unit: 'eps', wishes: SIM, is: () => ({ in: 0, out: 0 }) },
  'timeseries Live migration: memory left to send': { unit: 'bytes', wishes: SIM, is: () => ({}) },
  'timeseries Pressure of the host': {
    unit: 'percentunit',
    minute: 31,
    wishes: SIM,
    is: ({ truth, at }) => ({ 'cpu some': truth.rate('hostPressure', at, RATE) }),
  },
  'timeseries CPUs with the longest queues': {
    wishes: SIM,
    check: checkLongestQueues,
  },
  'timeseries Busy cores by NUMA node': {
    unit: 'suffix:cores',
    wishes: SIM,
    is: ({ truth, at }) => truth.rates('cpuRun', at, RATE, (_cpu, node) => `node ${node}`),
  },
  'timeseries Exits by reason': {
    unit: 'eps',
    wishes: SIM,
    is: ({ truth, at }) => truth.rates('exits', at, RATE, (_vm, reason) => reason),
  },
  'timeseries Exits per I/O by VM': {
    unit: 'none',
    wishes: SIM,
    is: (moment) => each(iosOf(moment), (ios, vm) => (onIoPath(moment)[vm] ?? 0) / ios),
  },
  'timeseries Operations': { unit: 'iops', wishes: SIM, is: device },
  'timeseries Throughput': {
    unit: 'Bps',
    wishes: SIM,
    is: ({ truth, at }) => {
      const of = (operation: string, suffix: string): Record<string, number> => {
        const name = (disk = '', one = ''): string | undefined =>
          one === operation ? `${disk} ${suffix}` : undefined;
        return each(truth.rates('device', at, RATE, name), (ios) => ios * 4096);
      };
      return { ...of('read', 'read'), ...of('write', 'written') };
    },
  },
  'timeseries Mean latency': { unit: 's', wishes: SIM, is: deviceLatency },
  'timeseries In flight': {
    unit: 'short',
    wishes: SIM,
    // Little's law.
    tolerance: 0.05,
    floor: 1,
    is: (moment) => each(device(moment), (ios, name) => ios * (deviceLatency(moment)[name] ?? 0)),
  },
  'timeseries Utilization': {
    unit: 'percentunit',
    wishes: SIM,
    // Flushes are in it.
    floor: 0.05,
    is: (moment) =>
      each(device(moment), (ios, name) => Math.min(1, ios * (deviceLatency(moment)[name] ?? 0))),
  },
  'table Devices': {
    key: ['Device'],
    wishes: SIM,
    units: { Node: 'none', Queues: 'short' },
    rows: ({ truth, at }) =>
      each(
        truth.values('deviceNode', at, (name) => name),
        (Node, name) => ({
          Host: 'sim-host:9954',
          Scheduler: 'none',
          Node,
          Queues: truth.value(`deviceQueues|${name}`, at),
        }),
      ),
  },
  'timeseries Threads by node': {
    unit: 'short',
    wishes: SIM,
    is: ({ truth, at }) => {
      const counts: Record<string, number> = {};
      for (const node of Object.values(
        truth.values('node', at, (vm, role, thread) => (isOnIoPath(role) ? `${vm} ${thread}` : undefined)),
      ))
        counts[`node ${node}`] = (counts[`node ${node}`] ?? 0) + 1;
      return counts;
    },
  },
  'timeseries Memory on the nodes of the vCPUs': {
    unit: 'percentunit',
    wishes: SIM,
    // One that roams has its memory and its vCPUs everywhere, one that is pinned has both on its node.
    is: () => Object.fromEntries(['db', 'oltp', 'web', 'kv', 'mail', 'build'].map((vm) => [vm, 1])),
  },
  'timeseries Completions on the node of the I/O thread': {
    unit: 'percentunit',
    wishes: { ...SIM, vm: ['db', 'kv', 'mail', 'build'] },
    // A queue of an NVMe has CPUs of one node only.
    is: () => ({ db: 1, kv: 1, mail: 1, build: 1 }),
  },
  'state-timeline Collectors': {
    unit: 'none',
    wishes: TROUBLED,
    called: { 0: 'failing', 1: 'works' },
    others: true,
    is: () => ({ qmp: 0, kvm_debugfs: 0, threads: 1, block: 1, schedstat: 1 }),
  },
  'state-timeline Monitors and managers of VMs': {
    unit: 'none',
    wishes: TROUBLED,
    called: { 0: 'no response', 1: 'responds' },
    is: () => ({ 'db qmp': 1, 'lonely qmp': 0 }),
  },
};

function checkLongestQueues(answers: readonly TargetAnswer[], { truth, at, start }: Moment): void {
  const series = answers[0]?.series ?? [];
  const means = truth.rates('cpuWait', at, 1200 - RATE, (cpu) => `CPU ${cpu}`);
  const worst = Object.keys(means).sort((a, b) => (means[b] ?? 0) - (means[a] ?? 0));
  const shown = series.map(({ name }) => name);
  if (shown.length !== 10) throw new Error(`${shown.length} CPUs`);
  for (const name of worst.slice(0, 5)) if (!shown.includes(name)) throw new Error(`${name} is not there`);
  const now = truth.rates('cpuWait', at, RATE, (cpu) => `CPU ${cpu}`);
  for (const { name, values = [] } of series) {
    const last = Number(values.find(([time]) => time === start + at)?.[1]);
    if (Math.abs(last - (now[name] ?? 0)) > 1e-4) throw new Error(`${name}: ${last} for ${now[name]}`);
  }
}
