import assert from 'node:assert/strict';
import { bucketsOf } from '../../../dashboards/preview/page/buckets.ts';
import type { TargetAnswer } from '../../../dashboards/preview/preview.ts';
import { all, each, exitsOf, iosOf, onIoPath, RATE } from './host.ts';
import type { Cases, Moment } from './panels.ts';
import { FIRING, RESIDENT, TECHNIQUE_TABLE, TECHNIQUES_OF_KV } from './shared.ts';

const SIM = { instance: ['sim-host:9954'] };
const KV = { ...SIM, vm: ['kv'] };

/** Per second, over all selected VMs together, for each of their I/Os. */
const perIo = (of: Readonly<Record<string, number>>, moment: Moment): Record<string, number> =>
  each(of, (count) => count / all(iosOf(moment)));

const kvIos = ({ truth, at }: Moment): Record<string, number> =>
  truth.rates('disk', at, RATE, (vm, disk, operation) =>
    vm === 'kv' && operation !== 'flush' ? `kv ${disk}` : undefined,
  );

export const vm: Cases = {
  'stat I/Os': { unit: 'iops', wishes: KV, is: (moment) => ({ 'I/Os': iosOf(moment)['kv'] ?? 0 }) },
  'stat Exits': { unit: 'eps', wishes: KV, is: (moment) => ({ exits: exitsOf(moment)['kv'] ?? 0 }) },
  'stat Exits per I/O': [
    {
      unit: 'none',
      wishes: KV,
      is: (moment) => ({ 'exits per I/O': (onIoPath(moment)['kv'] ?? 0) / (iosOf(moment)['kv'] ?? 0) }),
    },
    // A ratio of sums over all VMs, so that `web` with its few I/Os has little weight.
    {
      unit: 'none',
      wishes: SIM,
      is: (moment) => ({ 'exits per I/O': all(onIoPath(moment)) / all(iosOf(moment)) }),
    },
  ],
  'stat CPU': {
    unit: 'percentunit',
    wishes: KV,
    is: ({ truth, at }) => ({ CPU: truth.total('run', at, RATE, (vm) => vm === 'kv') }),
  },
  'stat Drifting threads': { unit: 'short', minute: 23, wishes: KV, is: () => ({ threads: 3 }) },
  'stat Started': {
    unit: 'dateTimeFromNow',
    wishes: KV,
    // Milliseconds, to a clock tick.
    tolerance: 0,
    floor: 20,
    is: ({ truth, at }) => ({ started: truth.value('started|kv', at) * 1000 }),
  },
  'state-timeline Detected stage': [
    {
      unit: 'none',
      wishes: SIM,
      called: {
        0: 'original',
        1: 'affinity',
        2: 'exitless polling',
        3: 'parallel batching',
        4: 'pinned queues',
      },
      is: () => ({ db: 4, oltp: 2, web: 0, kv: 4, mail: 1, build: 3 }),
    },
    { unit: 'none', minute: 9, wishes: { ...SIM, vm: ['db'] }, is: () => ({ db: 0 }) },
    { unit: 'none', minute: 29, wishes: { ...SIM, vm: ['db'] }, is: () => ({ db: 2 }) },
  ],
  'table Firing alerts': FIRING,
  'state-timeline Techniques over time': TECHNIQUES_OF_KV,
  'table Techniques': TECHNIQUE_TABLE,
  'timeseries Stopped by a CPU quota': {
    unit: 'suffix:cores',
    minute: 31,
    wishes: { ...SIM, vm: ['build', 'kv'] },
    is: ({ truth, at }) => ({ 'build vm': truth.rate('throttled|build', at, RATE), 'kv vm': 0 }),
  },
  'timeseries Pressure': {
    unit: 'percentunit',
    minute: 31,
    wishes: { ...SIM, vm: ['build'] },
    is: ({ truth, at }) => ({
      'build cpu some': truth.rate('pressure|build|some', at, RATE),
      'build cpu full': truth.rate('pressure|build|full', at, RATE),
    }),
  },
  'timeseries Exits by reason': {
    unit: 'eps',
    wishes: KV,
    is: ({ truth, at }) => truth.rates('exits', at, RATE, (vm, reason) => (vm === 'kv' ? reason : undefined)),
  },
  'timeseries Exits per I/O by step': [
    {
      unit: 'none',
      wishes: { ...SIM, vm: ['db'] },
      minute: 9,
      is: (moment) =>
        each(
          moment.truth.rates('steps', moment.at, RATE, (vm, step) => (vm === 'db' ? step : undefined)),
          (count) => count / (iosOf(moment)['db'] ?? 0),
        ),
    },
    {
      unit: 'none',
      wishes: SIM,
      is: (moment) =>
        perIo(
          moment.truth.rates('steps', moment.at, RATE, (_vm, step) => step),
          moment,
        ),
    },
  ],
  'heatmap Exit latency': { wishes: { ...SIM, vm: ['web'] }, check: checkExitLatency },
  'timeseries Exit latency by reason': {
    unit: 's',
    wishes: { ...SIM, vm: ['web'] },
    others: true,
    // A quarter of them takes twice as long as the model says: 2.2 us of a kick, 90 us of a halt; the bucket has it.
    is: () => ({ EPT_MISCONFIG: [4.1e-6, 8.2e-6], APIC_ACCESS: [4.1e-6, 8.2e-6], HLT: [131e-6, 263e-6] }),
  },
  'timeseries Time of halts': {
    unit: 'none',
    wishes: { ...SIM, vm: ['mail'] },
    minute: 45,
    is: ({ truth, at }) => {
      const of = (what: string): number => truth.rate(`haltSeconds|mail|${what}`, at, RATE);
      return {
        'successful polls': of('poll_success'),
        'failed polls': of('poll_fail'),
        blocked: of('wait'),
      };
    },
  },
  'timeseries Successful halt polls': {
    unit: 'percentunit',
    wishes: SIM,
    is: ({ truth, at }) => {
      const of = (what: string): Record<string, number> =>
        truth.rates('halts', at, RATE, (vm, statistic) => (statistic === what ? vm : undefined));
      const attempted = each(of('attempted_poll'), (count) => count);
      return Object.fromEntries(
        Object.entries(of('successful_poll'))
          .filter(([vm]) => (attempted[vm] ?? 0) > 0)
          .map(([vm, count]) => [vm, count / (attempted[vm] ?? 0)]),
      );
    },
  },
  'timeseries Wasted polling by vCPU': {
    unit: 'percentunit',
    wishes: { ...SIM, vm: ['mail'] },
    minute: 45,
    is: ({ truth, at }) => ({ mail: truth.rate('haltSeconds|mail|poll_fail', at, RATE) / 6 }),
  },
  'timeseries CPU by thread': {
    unit: 'percentunit',
    wishes: KV,
    is: ({ truth, at }) =>
      truth.rates('run', at, RATE, (vm, _role, thread) => (vm === 'kv' ? `kv ${thread}` : undefined)),
  },
  'timeseries Wait by thread': {
    unit: 'percentunit',
    minute: 23,
    wishes: KV,
    is: ({ truth, at }) =>
      truth.rates('wait', at, RATE, (vm, _role, thread) => (vm === 'kv' ? `kv ${thread}` : undefined)),
  },
  'timeseries Frequency of its CPUs': {
    unit: 'hertz',
    wishes: KV,
    is: () => ({
      'kv vcpu': 3e9,
      'kv iothread': 3e9,
      'kv vcpu limit': 3e9,
      'kv iothread limit': 3e9,
    }),
  },
  'timeseries Idle states of its CPUs': {
    unit: 'percentunit',
    wishes: KV,
    is: () => ({
      'kv vcpu POLL': 0,
      'kv vcpu C1': [0.001, 1],
      'kv vcpu C6': [0.001, 1],
      // It polls all the time.
      'kv iothread POLL': 0,
      'kv iothread C1': [0, 1],
      'kv iothread C6': [0, 1],
    }),
  },
  'timeseries Interrupts on its CPUs': {
    unit: 'eps',
    wishes: KV,
    // The model has no others than those of its disks.
    is: ({ truth, at }) => ({
      'kv vcpu device': [0, truth.total('interrupts', at, RATE)],
      'kv vcpu timer': 0,
    }),
    others: true,
  },
  'timeseries Memory': {
    unit: 'bytes',
    wishes: KV,
    is: () => ({ 'kv in RAM': RESIDENT, 'kv in swap': 0, 'kv hugetlb': 0 }),
  },
  // Nothing of the evaluation: test/e2e/qmp.test.ts migrates a real VM.
  'timeseries APICv and AVIC inhibited': { unit: 'none', wishes: KV, is: () => ({}) },
  'timeseries Live migration: memory left to send': { unit: 'bytes', wishes: KV, is: () => ({}) },
  'timeseries Live migration: sent and written again': { unit: 'Bps', wishes: KV, is: () => ({}) },
  'timeseries Live migration: expected pause': { unit: 's', wishes: KV, is: () => ({}) },
  'timeseries CPU by mode': {
    unit: 'suffix:cores',
    wishes: SIM,
    floor: 0.05,
    is: ({ truth, at }) => truth.rates('mode', at, RATE, (_vm, _role, _thread, mode) => mode),
  },
  'timeseries Context switches per I/O': {
    unit: 'none',
    wishes: SIM,
    is: (moment) =>
      perIo(
        moment.truth.rates('switches', moment.at, RATE, (_vm, role, _thread, type) => `${role} ${type}`),
        moment,
      ),
  },
  'timeseries Operations': { unit: 'iops', wishes: KV, is: kvIos },
  'timeseries Mean latency': {
    unit: 's',
    wishes: KV,
    is: (moment) => {
      const { truth, at } = moment;
      const of = (operation: string): number => truth.rate(`diskSeconds|kv|vda|${operation}`, at, RATE);
      return { 'kv vda': (of('read') + of('write')) / (kvIos(moment)['kv vda'] ?? 0) };
    },
  },
  'timeseries Throughput': {
    unit: 'Bps',
    wishes: KV,
    is: ({ truth, at }) => ({
      'kv vda read': truth.rate('disk|kv|vda|read', at, RATE) * 4096,
      'kv vda written': truth.rate('disk|kv|vda|write', at, RATE) * 4096,
    }),
  },
  'heatmap Block request latency in the host': { wishes: KV, check: checkBlockLatency },
  'table Disks and IOThreads': {
    key: ['VM', 'Disk'],
    wishes: { ...SIM, vm: ['kv', 'web'] },
    units: { Queues: 'short' },
    rows: () => ({
      'kv vda': { Queues: 6, IOThreads: 'io0,io1,io2', File: '/srv/nvme2n1/kv-0.img' },
      'web vda': { Queues: 1, IOThreads: 'io0', File: '/srv/nvme1n1/web-0.img' },
    }),
  },
};

/** Share of the values between two bounds. */
function share(answers: readonly TargetAnswer[], { at, start }: Moment, from: number, to: number): number {
  const cells = bucketsOf(answers).map(
    ({ le, cells }) => [le, cells.find(([time]) => time === start + at)?.[1] ?? 0] as const,
  );
  const all = cells.reduce((sum, [, count]) => sum + count, 0);
  return cells.filter(([le]) => le > from && le <= to).reduce((sum, [, count]) => sum + count, 0) / all;
}

/** Without halts, which take 45 to 180 us; all others take 0.4 to 18 us. */
function checkExitLatency(answers: readonly TargetAnswer[], moment: Moment): void {
  assert.equal(share(answers, moment, 0, 33e-6), 1);
  assert.ok(share(answers, moment, 0, 8.2e-6) > 0.95);
}

/** Of 90 us a read and 25 us a write, a quarter takes half and a quarter twice as long; a fifth are writes. */
function checkBlockLatency(answers: readonly TargetAnswer[], moment: Moment): void {
  // Reads of 90 and 180 us, and the slow half of the fast ones; writes of 12.5 and 25 us.
  const [fast, slow] = [share(answers, moment, 0, 33e-6), share(answers, moment, 66e-6, 263e-6)];
  assert.ok(Math.abs(fast - 0.2 * 0.75) < 0.02, `${fast}`);
  assert.ok(Math.abs(slow - 0.8 * 0.75) < 0.02, `${slow}`);
}
