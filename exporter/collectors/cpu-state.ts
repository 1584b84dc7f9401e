import { addTo, getOrInsert } from '../../kernel/maps.ts';
import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readUptime } from '../../probes/proc-uptime.ts';
import {
  type CpuFrequencyPolicy,
  readCpuFrequency,
  readCpuFrequencyPolicy,
} from '../../probes/sys-cpufreq.ts';
import { type IdleState, readIdleSeconds, readIdleStates } from '../../probes/sys-cpuidle.ts';
import type { Families } from '../metrics/families.ts';
import { CpuCredits } from '../model/cpu-credits.ts';
import { type Collector, guarded, type Report } from './collector.ts';
import type { IoPathCpus, RoleCpus } from './io-path-cpus.ts';
import { Turns } from './turns.ts';

/** A policy rarely changes, so each CPU's is read in one collection of so many. */
const POLICY_EVERY = 10;
/** CPUs whose idle states are read in one collection, in turn: each has four to ten files. */
const IDLE_CPUS = 64;
const OBSERVED = 'observed';

/** Frequency, idle states and isolation of the CPUs that run vCPUs and I/O threads. */
export function cpuState(ioPathCpus: IoPathCpus): Collector {
  const policies = new Map<number, CpuFrequencyPolicy | undefined>();
  const idleStates = new Map<number, readonly IdleState[]>();
  const credits = new CpuCredits();
  const turns = new Turns(POLICY_EVERY);
  let nextIdle = 0;

  return {
    name: 'cpu_state',
    async collect(collection, report) {
      const { host, families, yieldIfDue } = collection;
      turns.begin();
      const { roles, owners, known } = await ioPathCpus.of(collection);
      const used = [...owners.keys()].sort((a, b) => a - b);
      for (const read of [policies, idleStates])
        for (const cpu of read.keys()) if (!owners.has(cpu)) read.delete(cpu);
      const frequencies = new Map<number, number>();
      for (const cpu of used) {
        await yieldIfDue();
        guarded(`cpu${cpu}/cpufreq`, report, () => readFrequency(host, cpu, frequencies));
      }
      credits.keep(known, new Set(used));
      const from = nextIdle < used.length ? nextIdle : 0;
      nextIdle = from + IDLE_CPUS;
      for (const cpu of used.slice(from, nextIdle)) {
        await yieldIfDue();
        readIdle(host, cpu, owners.get(cpu) ?? new Set(), report);
      }
      for (const role of roles) {
        await yieldIfDue();
        addFrequencies(families, role, frequencies, policies);
        addIdle(families, role, credits.of(role.key));
      }
    },
  };

  function readFrequency(host: Host, cpu: number, frequencies: Map<number, number>): void {
    if (!policies.has(cpu) || turns.isTurnOf(cpu)) policies.set(cpu, readCpuFrequencyPolicy(host, cpu));
    // Without cpufreq there is nothing to read, and no error.
    if (policies.get(cpu) === undefined) return;
    const hertz = ifThere(() => readCpuFrequency(host, cpu));
    if (hertz !== undefined) frequencies.set(cpu, hertz);
  }

  function readIdle(host: Host, cpu: number, owners: ReadonlySet<string>, report: Report): void {
    guarded(`cpu${cpu}/cpuidle`, report, () => {
      const states = getOrInsert(idleStates, cpu, () => readIdleStates(host, cpu));
      if (states.length === 0) return;
      const counts = new Map([[OBSERVED, readUptime(host)]]);
      for (const state of states) addTo(counts, `state ${state.name}`, readIdleSeconds(host, cpu, state));
      credits.take(cpu, owners, counts);
    });
  }
}

function addFrequencies(
  families: Families,
  { vm, role, cpus }: RoleCpus,
  frequencies: ReadonlyMap<number, number>,
  policies: ReadonlyMap<number, CpuFrequencyPolicy | undefined>,
): void {
  const labels = families.block({ vm, role });
  const hertz = cpus.flatMap((cpu) => frequencies.get(cpu) ?? []);
  if (hertz.length > 0) {
    const mean = hertz.reduce((sum, each) => sum + each, 0) / hertz.length;
    families.add('kvm_vm_cpu_frequency_mean_hertz', labels, mean);
    families.add('kvm_vm_cpu_frequency_min_hertz', labels, Math.min(...hertz));
  }
  const own = cpus.flatMap((cpu) => policies.get(cpu) ?? []);
  const limits = own.flatMap(({ limit }) => limit ?? []);
  if (limits.length > 0) families.add('kvm_vm_cpu_frequency_limit_hertz', labels, Math.min(...limits));
  const maxima = own.flatMap(({ hardwareLimit }) => hardwareLimit ?? []);
  if (maxima.length > 0) families.add('kvm_vm_cpu_frequency_maximum_hertz', labels, Math.min(...maxima));
  const governors = new Map<string, number>();
  for (const { governor } of own) addTo(governors, governor, 1);
  for (const [governor, count] of governors)
    families.add('kvm_vm_cpu_governor_cpus', { vm, role, governor }, count);
}

function addIdle(families: Families, { vm, role }: RoleCpus, sums: ReadonlyMap<string, number>): void {
  for (const [name, seconds] of sums) {
    if (name === OBSERVED) families.add('kvm_vm_cpu_observed_seconds_total', { vm, role }, seconds);
    else
      families.add(
        'kvm_vm_cpu_idle_seconds_total',
        { vm, role, state: name.slice('state '.length) },
        seconds,
      );
  }
}
