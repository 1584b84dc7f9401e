import {
  AWAKE_FROM,
  DIRTY_FAULTS,
  EXIT_SECONDS,
  INTERRUPTS_PER_SHARE,
  REMOTE_NODE_SPEED,
} from './calibration.ts';
import { halt, type Idle } from './halt.ts';
import { emitExits, emitIo } from './io-events.ts';
import type { Random } from './random.ts';
import type { Topology } from './topology.ts';
import type { TraceSink } from './trace/sink.ts';
import type { ReasonName, SimVcpu } from './vcpu.ts';
import { MIGRATION, type SimVm } from './vm.ts';

/** Share of injected interrupts for which KVM first waits for an interrupt window: assumption. */
const WINDOW_SHARE = 0.15;
/** Host interrupts per vCPU and second: assumption. The calibration includes them. */
const HOST_INTERRUPTS = 4;
/** Timer interrupts per vCPU and second; the guest sets the timer again after each: assumption. */
const TIMERS = 5;
/** Background exits of any guest, per vCPU and second: assumptions. */
const BACKGROUND: readonly (readonly [ReasonName, number])[] = [
  ['PREEMPTION_TIMER', TIMERS],
  ['EPT_VIOLATION', 0.5],
  ['CPUID', 0.2],
];

/** The demand of a VM in a step, before the scheduler assigns CPUs. */
export interface Plan {
  /** I/Os per second. */
  readonly wanted: number;
  /** Share of the configuration's capacity. */
  readonly load: number;
  readonly kicksPerIo: number;
  readonly stormSeconds: number;
}

/** I/Os per second that the VM requests from its disks. */
export function wantedIops(vm: SimVm, topology: Topology): number {
  if (vm.faults.isStalled === true) return 0;
  const storm = stormSeconds(vm) / vm.vcpus.length;
  return Math.min(vm.iops, vm.capacity * nodeSpeed(vm, topology) * Math.max(0.05, 1 - storm));
}

/** Sets the CPU demand of each thread. */
export function planIo(vm: SimVm, wanted: number): Plan {
  const { calibration: own } = vm;
  const share = Math.min(...vm.disks.map(({ host }) => host.share));
  const load = (wanted * share) / vm.capacity;
  const awake = own.pollMaxNs === 0 ? 1 : Math.min(1, load / AWAKE_FROM);
  const storm = stormSeconds(vm) / vm.vcpus.length;
  const perIoThread = (own.ioUser + own.ioSystem) / vm.ioThreads.length;
  for (const thread of vm.threads) {
    const { role } = thread.spec;
    if (role === 'vcpu') {
      const waste = vm.faults.wastesHaltPolls ?? 0;
      thread.demand = Math.min(1, (own.vcpuGuest + own.vcpuSystem) * load + storm + waste + idleBase(load));
    } else if (role === 'iothread') thread.demand = Math.min(1, perIoThread * load + idleBase(load));
    else if (role === 'sqpoll') thread.demand = load > 0.01 ? 0.3 : 0.002;
    else thread.demand = thread.spec.comm === MIGRATION ? 0.9 : role === 'other' ? 0 : 0.003;
  }
  return {
    wanted: wanted * share,
    load,
    kicksPerIo: own.kicksPerIo * awake + (1 - awake),
    stormSeconds: storm,
  };
}

function idleBase(load: number): number {
  return 0.01 * Math.max(0, 1 - load);
}

function stormSeconds({ faults: { storm } }: SimVm): number {
  return storm === undefined ? 0 : storm.perSecond * EXIT_SECONDS;
}

/**
 * An I/O thread on another node than the disk slows its share down. The measurements of roaming threads
 * include this already.
 */
function nodeSpeed(vm: SimVm, { cpus }: Topology): number {
  if (!vm.calibration.pinned) return 1;
  const node = vm.disks[0]?.host.spec.node;
  const away = vm.ioThreads.filter(({ cpu }) => cpus[cpu]?.node !== node).length;
  return 1 - (1 - REMOTE_NODE_SPEED) * (away / vm.ioThreads.length);
}

/** Runs the VM for `dt` seconds. */
export function runIo(vm: SimVm, plan: Plan, dt: number, random: Random, sink: TraceSink): void {
  const mean = (speeds: number[]): number => speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length;
  const speed = Math.min(
    mean(vm.ioThreads.map((thread) => thread.speed)),
    mean(vm.vcpus.map(({ thread }) => thread.speed)),
  );
  const ios = plan.wanted * speed * vm.efficiency * dt * random.around(0.02);
  let done = 0;
  for (const vcpu of vm.vcpus) done += runVcpu(vm, vcpu, plan, ios / vm.vcpus.length, dt, sink);
  runIoThreads(vm, done, dt);
  vm.totals.ios += done;
}

function runVcpu(vm: SimVm, vcpu: SimVcpu, plan: Plan, ios: number, dt: number, sink: TraceSink): number {
  const own = vm.calibration;
  const reasons = new Map<ReasonName, number>();
  const exit = (reason: ReasonName, amount: number): void => {
    reasons.set(reason, (reasons.get(reason) ?? 0) + vcpu.exits.add(reason, amount));
  };
  const io = emitIo(
    vm,
    vcpu,
    { ios, load: plan.load, kicksPerIo: plan.kicksPerIo, interruptsPerIo: own.interruptsPerIo },
    sink,
  );
  const isInjected = !vm.hasApicv;
  let interrupted = 0;
  if (isInjected) {
    const windows = vcpu.exits.add('INTERRUPT_WINDOW', io.interrupts * WINDOW_SHARE);
    reasons.set('INTERRUPT_WINDOW', windows);
    interrupted = io.interrupts - windows;
    exit('APIC_ACCESS', io.interrupts);
  }
  exit('EXTERNAL_INTERRUPT', Math.max(interrupted, HOST_INTERRUPTS * dt));
  exit('EPT_MISCONFIG', io.kicks);
  for (const [reason, perSecond] of BACKGROUND) exit(reason, perSecond * dt);
  const { storm, interrupts: taken = 0, isMigrating } = vm.faults;
  exit('EXTERNAL_INTERRUPT', taken * INTERRUPTS_PER_SHARE * dt);
  if (isMigrating === true) exit('EPT_VIOLATION', DIRTY_FAULTS * dt);
  if (storm !== undefined) exit(storm.reason, (storm.perSecond / vm.vcpus.length) * dt);
  const idle = Math.max(0, 1 - vcpu.thread.demand);
  const halts = halt(vcpu, idleOf(vm, idle, ios, dt));
  exit('HLT', halts);
  // The guest sets the deadline timer before and after a halt.
  exit('MSR_WRITE', halts * 2 + TIMERS * dt);

  const scale = plan.load;
  const poll = vm.faults.wastesHaltPolls ?? 0;
  vcpu.thread.run(
    dt,
    shareOf(vcpu.thread.demand, own.vcpuGuest * scale, own.vcpuSystem * scale + plan.stormSeconds + poll),
    own.waitShare,
  );
  vcpu.thread.voluntary.add(halts + ios * own.switchesPerIo);
  vcpu.thread.restless = own.migrations * dt * vcpu.thread.demand;
  const { exits, injections } = emitExits(vm, vcpu, reasons, isInjected ? io.interrupts : 0, sink);
  vm.totals.kicks += io.kicks;
  vm.totals.injections += injections;
  vm.totals.eois += isInjected ? io.interrupts : 0;
  vm.totals.exits += exits;
  return io.ios;
}

/**
 * An idle guest halts until its timer or an I/O wakes it. A guest that wastes halt polls does so at any load.
 */
function idleOf(vm: SimVm, idle: number, ios: number, dt: number): Idle {
  const { wastesHaltPolls: waste = 0 } = vm.faults;
  if (waste > 0)
    return { seconds: idle * dt, halts: waste * 5000 * dt, attempted: 1, successful: 0.01, failNs: 200_000 };
  // Assumption: half of all interrupts find their vCPU halted.
  const woken = ios * vm.calibration.interruptsPerIo * 0.5;
  const halts = idle * (50 * dt + Math.min(3000 * dt, woken));
  return { seconds: idle * dt, halts, attempted: 0.3, successful: 0.15, failNs: 60_000 };
}

/** Splits the demand of a thread; time that is neither guest time nor known host work is divided evenly. */
function shareOf(
  demand: number,
  guest: number,
  system: number,
): { user: number; system: number; guest: number } {
  const rest = Math.max(0, demand - guest - system);
  const known = Math.min(1, demand / Math.max(demand, guest + system));
  return { guest: (guest + rest / 2) * known, system: (system + rest / 2) * known, user: 0 };
}

function runIoThreads(vm: SimVm, ios: number, dt: number): void {
  const own = vm.calibration;
  const work = own.ioUser + own.ioSystem;
  const each = ios / vm.ioThreads.length;
  for (const thread of vm.threads) {
    const { role } = thread.spec;
    if (role === 'vcpu') continue;
    const user = role === 'iothread' ? own.ioUser / work : role === 'sqpoll' || role === 'vhost' ? 0 : 0.5;
    const { demand } = thread;
    thread.run(dt, { user: demand * user, system: demand * (1 - user), guest: 0 }, own.waitShare);
    const wakeups = role === 'iothread' ? each * own.switchesPerIo : 0;
    thread.voluntary.add(wakeups + (role === 'other' ? 0 : 10 * dt));
    thread.restless = role === 'iothread' ? own.migrations * dt * demand : role === 'other' ? 0 : 0.05 * dt;
  }
}
