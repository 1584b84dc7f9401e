import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HostPlans, NO_WANTS } from '../exporter/assessment/plan/plans.ts';
import type { ObservedVm } from '../exporter/model/observed.ts';
import type { VmCounters } from '../exporter/model/vm-counters.ts';
import { HostHistory } from '../exporter/page/history/host-history.ts';
import { MIB } from '../kernel/units.ts';
import { hostOf, thread, topologyOf, vmOf } from '../testing/observed-vms.ts';
import { cpuSeconds } from './process-cost.ts';
import { markdown, ms } from './table.ts';

// The cost of the live page for the daemon: an hour of history of all VMs, and the plans of a host on which all of
// them drifted.

const VMS = [100, 500];
const VCPUS = 8;
const ROUND_MS = 10_000;
const ROUNDS = 360;
/** A host with 512 CPUs on two nodes. */
const [NODES, CORES, SMT] = [2, 128, 2];

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function memory(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const REASONS = [
  'EPT_MISCONFIG',
  'APIC_ACCESS',
  'MSR_WRITE',
  'HLT',
  'CPUID',
  'EPT_VIOLATION',
  'EXTERNAL_INTERRUPT',
  'other',
];

/** A VM with the series of the paper's: rates, latency, and CPU time of five roles. */
function counters(vm: number, round: number): VmCounters {
  const total = round * (50_000 + vm);
  const seconds = round * 3;
  return {
    vm: `vm-${vm}`,
    pid: String(1000 + vm),
    at: round * ROUND_MS,
    vcpus: VCPUS,
    run: { vcpu: seconds, iothread: seconds, vhost: seconds, emulator: seconds, other: seconds },
    ioRoles: ['iothread', 'vhost'],
    exits: { total, from: 'kvm_vm_exits_total' },
    reasons: Object.fromEntries(REASONS.map((reason) => [reason, total])),
    path: { kick: total, inject: total, eoi: total, halt: total },
    io: { total, from: 'kvm_vm_disk_*_completed_total' },
    devices: [{ device: 'nvme0n1', inFlight: 1, completed: total }],
    wait: {},
    hidden: [],
    throttled: {},
    durations: new Map([[11, total] as const, [12, total] as const, [14, round] as const]),
  };
}

async function historyRow(vms: number): Promise<string[]> {
  const before = memory();
  const history = new HostHistory({ onEvent: () => undefined, everyMs: () => ROUND_MS });
  const rounds = Array.from({ length: ROUNDS }, (_, round) => {
    const now = Array.from({ length: vms }, (_, vm) => counters(vm, round + 1));
    const start = cpuSeconds(process.pid);
    history.take((round + 1) * ROUND_MS, now);
    return cpuSeconds(process.pid) - start;
  });
  const used = memory() - before;
  const start = cpuSeconds(process.pid);
  const { vms: shown } = await history.overview();
  const overview = cpuSeconds(process.pid) - start;
  if (Object.keys(shown).length !== vms) throw new Error('not all VMs have a history');
  const mean = rounds.reduce((sum, each) => sum + each, 0) / ROUNDS;
  return [String(vms), (used / MIB).toFixed(1), (used / vms / 1024).toFixed(0), ms(mean), ms(overview)];
}

/** Each VM is pinned to CPUs of its own, and its threads roam over all. */
function drifted(vms: number): ObservedVm[] {
  const all = Array.from({ length: NODES * CORES * SMT }, (_, cpu) => cpu);
  return Array.from({ length: vms }, (_, vm) => {
    const threads = Array.from({ length: VCPUS + 1 }, (_, i) => {
      const label = i < VCPUS ? `vcpu${i}` : 'iothread:io0';
      return thread(label, all, [(vm * (VCPUS + 1) + i) % all.length]);
    });
    return vmOf(threads, { vm: `vm-${vm}`, pid: 1000 + vm, domain: `vm-${vm}`, deviceNodes: [vm % NODES] });
  });
}

function planRow(vms: number): string[] {
  const observed = drifted(vms);
  const host = hostOf(topologyOf(NODES, CORES, SMT), observed);
  const plans = new HostPlans(host.fresh());
  const last = observed.at(-1);
  if (last === undefined) throw new RangeError('no VMs');
  const steps: number[] = [];
  for (let goesOn = true; goesOn; ) {
    const start = cpuSeconds(process.pid);
    goesOn = plans.advance(last, () => NO_WANTS);
    steps.push(cpuSeconds(process.pid) - start);
  }
  const whole = steps.reduce((sum, each) => sum + each, 0);
  const commands = plans.planFor(last, () => NO_WANTS)?.steps.length ?? 0;
  if (commands === 0) throw new Error('the plan of a drifted VM is empty');
  return [String(vms), ms(whole), ms(Math.max(...steps))];
}

const history = [['VMs', 'MiB', 'KiB a VM', 'CPU ms a round', 'CPU ms an overview']];
for (const vms of VMS) history.push(await historyRow(vms));
const plans = [['VMs, all drifted', 'CPU ms for all plans', 'longest step, ms'], ...VMS.map(planRow)];
process.stdout.write(`${markdown(history)}\n${markdown(plans)}`);
