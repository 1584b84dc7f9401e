import type { Configuration } from '../../../lab/simhost/calibration.ts';
import type { SimDisk } from '../../../lab/simhost/disk.ts';
import type { SimulatedHost } from '../../../lab/simhost/host.ts';
import type { SimThread } from '../../../lab/simhost/thread.ts';
import type { SimVm } from '../../../lab/simhost/vm.ts';

/** Seconds between two scrapes of the history. */
export const SCRAPE = 15;

/** The stage of each configuration, by docs/sources.md. */
const STAGE_OF: Readonly<Record<Configuration, string>> = {
  original: 'original',
  affinity: 'affinity',
  exitless_polling: 'exitless_polling',
  parallel_batching: 'parallel_batching',
  pinned_queues: 'pinned_queues',
  sata_data_plane: 'original',
  sata_polling: 'exitless_polling',
  sata_polling_saving: 'exitless_polling',
};

type Group = (...parts: string[]) => string | undefined;

/**
 * The work of a simulated host by the model's own counters, independent of the exporter, the rules and the
 * dashboards. Keys have parts: `run|db|vcpu|vcpu0`.
 */
export class Truth {
  /** By seconds since the beginning. */
  readonly #values = new Map<number, ReadonlyMap<string, number>>();
  readonly #stages = new Map<number, ReadonlyMap<string, string>>();
  readonly #cpus: { run: number; wait: number }[] = [];
  readonly #threads = new Map<SimThread, { run: number; wait: number }>();

  /** Call it before each step of the host. */
  readonly watch = (host: SimulatedHost): void => {
    this.#credit(host);
    if (host.time % SCRAPE !== 0) return;
    const values = new Map<string, number>();
    for (const vm of host.vms) ofVm(vm, host, (key, value) => values.set(key, value));
    values.set('hostPressure', host.pressure.some.value / 1e6);
    for (const disk of host.disks) ofDevice(disk, (key, value) => values.set(key, value));
    for (const [cpu, { run, wait }] of this.#cpus.entries()) {
      values.set(`cpuRun|${cpu}|${host.topology.cpus[cpu]?.node}`, run);
      values.set(`cpuWait|${cpu}`, wait);
    }
    this.#values.set(host.time, values);
    this.#stages.set(host.time, new Map(host.vms.map((vm) => [vm.name, STAGE_OF[vm.configuration]])));
  };

  /** The work of a thread since the last step is credited to its present CPU. */
  #credit({ vms, topology }: SimulatedHost): void {
    for (const i of topology.cpus.keys()) this.#cpus[i] ??= { run: 0, wait: 0 };
    for (const thread of vms.flatMap(({ threads }) => threads)) {
      const now = { run: thread.user.value + thread.system.value, wait: thread.wait.value };
      const before = this.#threads.get(thread) ?? { run: 0, wait: 0 };
      const cpu = this.#cpus[thread.cpu];
      if (cpu !== undefined) {
        cpu.run += (now.run - before.run) / 1e9;
        cpu.wait += (now.wait - before.wait) / 1e9;
      }
      this.#threads.set(thread, now);
    }
  }

  stages(at: number): ReadonlyMap<string, string> {
    return this.#stages.get(at) ?? new Map();
  }

  has(key: string, at: number): boolean {
    return this.#values.get(at)?.has(key) === true;
  }

  value(key: string, at: number): number {
    return this.#values.get(at)?.get(key) ?? Number.NaN;
  }

  /** Growth a second up to a time. */
  rate(key: string, at: number, window: number): number {
    return (this.value(key, at) - this.value(key, at - window)) / window;
  }

  /** Sums by the result of `name` for the key's parts, over the keys that begin with `kind` and have a name. */
  values(kind: string, at: number, name: Group): Record<string, number> {
    return this.#grouped(
      kind,
      at,
      name,
      (key) => this.value(key, at),
      (a, b) => a + b,
    );
  }
  rates(kind: string, at: number, window: number, name: Group): Record<string, number> {
    return this.#grouped(
      kind,
      at,
      name,
      (key) => this.rate(key, at, window),
      (a, b) => a + b,
    );
  }
  highest(kind: string, at: number, window: number, name: Group): Record<string, number> {
    return this.#grouped(kind, at, name, (key) => this.rate(key, at, window), Math.max);
  }
  /** Of all keys that begin with `kind`. */
  total(
    kind: string,
    at: number,
    window: number,
    isMeant: (...parts: string[]) => boolean = () => true,
  ): number {
    return this.rates(kind, at, window, (...parts) => (isMeant(...parts) ? 'all' : undefined))['all'] ?? 0;
  }

  #grouped(
    kind: string,
    at: number,
    name: Group,
    of: (key: string) => number,
    join: (a: number, b: number) => number,
  ): Record<string, number> {
    const found: Record<string, number> = {};
    for (const key of this.#values.get(at)?.keys() ?? []) {
      const [first, ...parts] = key.split('|');
      const group = first === kind ? name(...parts) : undefined;
      if (group === undefined) continue;
      const before = found[group];
      found[group] = before === undefined ? of(key) : join(before, of(key));
    }
    return found;
  }
}

type Put = (key: string, value: number) => void;

function ofDevice(disk: SimDisk, put: Put): void {
  const { spec, of, queueCpus } = disk;
  const { name } = spec;
  for (const [operation, { done }] of Object.entries(of)) put(`device|${name}|${operation}`, done.value);
  put(`deviceNode|${name}`, spec.node);
  put(`deviceQueues|${name}`, queueCpus.length);
  for (const [queue, cpus] of queueCpus.entries()) {
    const cpu = disk.interruptCpu(queue);
    put(`interrupts|${name}|${queue + 1}|${cpu}`, disk.interrupts.value(`${queue} ${cpu}`));
    for (const from of cpus) put(`completes|${name}|${from}`, cpu);
  }
}

function ofVm(vm: SimVm, host: SimulatedHost, put: Put): void {
  const { name } = vm;
  const start = (host.options.startTime ?? 0) - (host.options.uptime ?? 600);
  put(`started|${name}`, start + (vm.threads[0]?.startTicks ?? 0) / 100);
  put(`vcpus|${name}`, vm.vcpus.length);
  put(`queues|${name}`, vm.queues);
  const reasons = new Map<string, number>();
  for (const { exits } of vm.vcpus)
    for (const reason of REASONS) reasons.set(reason, (reasons.get(reason) ?? 0) + exits.value(reason));
  for (const [reason, count] of reasons) put(`exits|${name}|${reason}`, count);
  const of = (reason: string): number => reasons.get(reason) ?? 0;
  const all = [...reasons.values()].reduce((sum, count) => sum + count, 0);
  const steps = {
    kick: of('EPT_MISCONFIG'),
    inject: of('EXTERNAL_INTERRUPT') + of('INTERRUPT_WINDOW'),
    eoi: of('APIC_ACCESS'),
    halt: of('HLT'),
  };
  const told = Object.values(steps).reduce((sum, count) => sum + count, 0);
  for (const [step, count] of Object.entries({ ...steps, other: all - told }))
    put(`steps|${name}|${step}`, count);
  for (const statistic of ['successful_poll', 'attempted_poll'])
    put(`halts|${name}|${statistic}`, ofVcpus(vm, `halt_${statistic}`));
  for (const statistic of ['poll_success', 'poll_fail', 'wait'])
    put(`haltSeconds|${name}|${statistic}`, ofVcpus(vm, `halt_${statistic}_ns`) / 1e9);
  const { throttledUsec, pressure } = vm.cgroup;
  put(`throttled|${name}`, throttledUsec.value / 1e6);
  put(`pressure|${name}|some`, pressure.some.value / 1e6);
  put(`pressure|${name}|full`, pressure.full.value / 1e6);
  for (const thread of vm.threads) ofThread(name, thread, host, put);
  for (const { id, of: operations } of vm.disks) {
    for (const [operation, { done, ns }] of Object.entries(operations)) {
      put(`disk|${name}|${id}|${operation}`, done.value);
      put(`diskSeconds|${name}|${id}|${operation}`, ns.value / 1e9);
    }
  }
  for (const d of vm.disks.keys())
    for (let queue = 0; queue < vm.queues; queue++)
      for (const { index } of vm.vcpus)
        put(`kicks|${name}|${d * vm.queues + queue}|${index}`, vm.kicks.value(`${d}:${queue}:${index}`));
}

const REASONS = [
  'EXTERNAL_INTERRUPT',
  'INTERRUPT_WINDOW',
  'CPUID',
  'HLT',
  'IO_INSTRUCTION',
  'MSR_WRITE',
  'APIC_ACCESS',
  'EPT_VIOLATION',
  'EPT_MISCONFIG',
  'PREEMPTION_TIMER',
];

function ofVcpus({ vcpus }: SimVm, statistic: string): number {
  return vcpus.reduce((sum, { stats }) => sum + stats.value(statistic), 0);
}

function ofThread(vm: string, thread: SimThread, { topology }: SimulatedHost, put: Put): void {
  const { role, index, id } = thread.spec;
  if (role === 'other') return;
  const label = role === 'iothread' ? `iothread:${id}` : role === 'emulator' ? role : `${role}${index}`;
  const key = `${vm}|${role}|${label}`;
  const { user, system, guest, wait, voluntary, involuntary } = thread;
  put(`run|${key}`, (user.value + system.value) / 1e9);
  put(`wait|${key}`, wait.value / 1e9);
  put(`mode|${key}|user`, (user.value - guest.value) / 1e9);
  put(`mode|${key}|system`, system.value / 1e9);
  put(`mode|${key}|guest`, guest.value / 1e9);
  put(`switches|${key}|voluntary`, voluntary.value);
  put(`switches|${key}|involuntary`, involuntary.value);
  put(`cpu|${key}`, thread.cpu);
  put(`node|${key}`, topology.cpus[thread.cpu]?.node ?? Number.NaN);
  put(`mask|${key}`, thread.allowed.length);
}
