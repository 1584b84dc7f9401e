import { PAPER_OUTSTANDING, WRITES_PER_FLUSH } from './calibration.ts';
import type { Operation, SimDisk } from './disk.ts';
import type { TraceSink } from './trace/sink.ts';
import { EXIT_NS, REASON, type ReasonName, type SimVcpu } from './vcpu.ts';
import type { SimVm } from './vm.ts';

export interface IoAmounts {
  /** Share of the configuration's capacity. */
  readonly load: number;
  readonly ios: number;
  readonly kicksPerIo: number;
  readonly interruptsPerIo: number;
}

/** KVM_EXIT_IO, include/uapi/linux/kvm.h. */
const KVM_EXIT_IO = 2;
/** The serial port of a PC: a guest that floods its console writes to it. */
const SERIAL_PORT = 0x3f8;
/** The first vector that Linux assigns to devices. */
const FIRST_VECTOR = 0x23;

/** The requests of one vCPU: the queues they use, the kicks and interrupts, and the counters of the disks. */
export function emitIo(
  vm: SimVm,
  vcpu: SimVcpu,
  amounts: IoAmounts,
  sink: TraceSink,
): { ios: number; kicks: number; interrupts: number } {
  const v = vcpu.index;
  const queues = vm.queuesOf(v);
  const total = { ios: 0, kicks: 0, interrupts: 0 };
  for (const [d, disk] of vm.disks.entries()) {
    const ios = vm.requests.add(`${d}:${v}`, amounts.ios / vm.disks.length);
    const writes = vm.writes.add(`${d}:${v}`, ios * (vm.spec.writes ?? 0));
    const flushes = vm.writes.add(`flush ${d}:${v}`, writes / WRITES_PER_FLUSH);
    for (const [operation, times] of [
      ['read', ios - writes],
      ['write', writes],
      ['flush', flushes],
    ] as const) {
      disk.of[operation].done.add(times);
      disk.of[operation].ns.add(times * latencyNs(vm, amounts.load, disk.host, operation));
      disk.host.of[operation].done.add(times);
    }
    total.ios += ios;
    for (const queue of queues) {
      const share = ios / queues.length;
      const kicks = vm.kicks.add(`${d}:${queue}:${v}`, share * amounts.kicksPerIo);
      total.kicks += kicks;
      const gpa = vm.notifyAddress(d, queue);
      if (kicks > 0) sink.count('kvm/kvm_fast_mmio', { common_pid: vcpu.thread.tid, gpa }, kicks);
      const io = vm.ioThreadOf(d, queue);
      if (io === undefined) continue;
      const requests = vm.requests.add(`${d}:${v}:${queue}`, share);
      disk.host.interrupt(io.cpu, requests);
      if (requests > 0) emitBlock(vm, io.tid, d, requests, sink);
    }
    const interrupts = vm.interrupts.add(`${d}:${v}`, ios * amounts.interruptsPerIo);
    total.interrupts += interrupts;
    const sender = vm.ioThreadOf(d, v % vm.queues)?.tid ?? vm.pid;
    const msi = {
      common_pid: sender,
      address: 0xfee00000 + v * 0x1000,
      data: FIRST_VECTOR + d * vm.queues + (v % vm.queues),
    };
    if (interrupts > 0) sink.count('kvm/kvm_msi_set_irq', msi, interrupts);
  }
  return total;
}

/**
 * Latency of an I/O in QEMU: at least the device's service time, and by Little's law the time that the I/Os
 * in flight take together. Assumption: it grows linearly with the load.
 */
function latencyNs(vm: SimVm, load: number, disk: SimDisk, operation: Operation): number {
  const device = disk.seconds(operation);
  const path = device + Math.max(0, PAPER_OUTSTANDING / vm.capacity - device) * load;
  const queued = disk.share > 0 && disk.share < 1 ? vm.outstanding / Math.max(1, load * vm.capacity) : 0;
  return Math.max(path, queued) * 1e9;
}

function emitBlock(vm: SimVm, tid: number, disk: number, requests: number, sink: TraceSink): void {
  const host = vm.disks[disk]?.host;
  if (host === undefined || !sink.wants('block/block_rq_issue')) return;
  const { major, minor } = host.device;
  const fields = { common_pid: tid, dev: major * 2 ** 20 + minor, sector: 0, nr_sector: 8, bytes: 4096 };
  sink.count('block/block_rq_issue', fields, requests);
  sink.count('block/block_rq_complete', fields, requests);
  const writes = vm.writes.add(`traced ${disk}:${tid}`, requests * (vm.spec.writes ?? 0));
  for (const [operation, times] of [
    ['read', requests - writes],
    ['write', writes],
  ] as const)
    spread(Math.round(host.seconds(operation) * 1e9), times, (each, part) =>
      sink.interval('block/block_rq_issue', 'block/block_rq_complete', fields, each, part),
    );
}

/** Counts the exits of a vCPU in KVM's statistics and emits their tracepoints. */
export function emitExits(
  vm: SimVm,
  vcpu: SimVcpu,
  reasons: ReadonlyMap<ReasonName, number>,
  interrupts: number,
  sink: TraceSink,
): { exits: number; injections: number } {
  const { stats, thread } = vcpu;
  const of = (reason: ReasonName): number => reasons.get(reason) ?? 0;
  let exits = 0;
  for (const [reason, times] of reasons) {
    exits += times;
    if (times > 0) emitExit(vcpu, reason, times, exitNs(vm, reason), sink);
  }
  stats.add('exits', exits);
  stats.add('irq_exits', of('EXTERNAL_INTERRUPT'));
  stats.add('irq_window_exits', of('INTERRUPT_WINDOW'));
  stats.add('io_exits', of('IO_INSTRUCTION'));
  stats.add('irq_injections', interrupts);
  stats.add('req_event', exits);
  // KVM emulates the instructions that access the APIC page or that exit to user space.
  stats.add('insn_emulation', of('APIC_ACCESS') + of('IO_INSTRUCTION'));
  stats.add('host_state_reload', of('HLT') + of('IO_INSTRUCTION'));
  stats.add('fpu_reload', of('IO_INSTRUCTION'));
  stats.add('pf_taken', of('EPT_VIOLATION'));
  stats.add('pf_fixed', of('EPT_VIOLATION'));
  stats.add('tlb_flush', of('EPT_VIOLATION') * 0.1);
  if (sink.wants('kvm/kvm_entry'))
    sink.count('kvm/kvm_entry', { common_pid: thread.tid, vcpu_id: vcpu.index }, exits);
  if (interrupts > 0) {
    sink.count('kvm/kvm_inj_virq', { common_pid: thread.tid, vector: FIRST_VECTOR }, interrupts);
    sink.count(
      'kvm/kvm_eoi',
      { common_pid: thread.tid, apicid: vcpu.index, vector: FIRST_VECTOR },
      interrupts,
    );
    emitContention(vm, vcpu, interrupts, sink);
  }
  const injections = of('EXTERNAL_INTERRUPT') + of('INTERRUPT_WINDOW');
  return { exits, injections };
}

/** Time of an exit, with the injected slowness except for HLT. Assumption: slow exits slow nothing else down. */
function exitNs({ faults: { exitSlowness = 1 } }: SimVm, reason: ReasonName): number {
  return EXIT_NS[reason] * (reason === 'HLT' ? 1 : exitSlowness);
}

function emitExit(vcpu: SimVcpu, reason: ReasonName, times: number, ns: number, sink: TraceSink): void {
  const common_pid = vcpu.thread.tid;
  if (sink.wants('kvm/kvm_exit')) {
    const fields = { common_pid, exit_reason: REASON[reason], isa: 1, vcpu_id: vcpu.index };
    sink.count('kvm/kvm_exit', fields, times);
    spread(ns, times, (each, part) => sink.interval('kvm/kvm_exit', 'kvm/kvm_entry', fields, each, part));
  }
  if (reason !== 'IO_INSTRUCTION') return;
  sink.count('kvm/kvm_pio', { common_pid, rw: 1, port: SERIAL_PORT, size: 1, count: 1 }, times);
  sink.count('kvm/kvm_userspace_exit', { common_pid, reason: KVM_EXIT_IO, errno: 0 }, times);
}

/**
 * 4.1: "most of the lock contention occurs in making APIC related accesses". Assumption: one in four of them
 * waits, for 3 us.
 */
function emitContention(vm: SimVm, vcpu: SimVcpu, interrupts: number, sink: TraceSink): void {
  if (!sink.wants('lock/contention_begin')) return;
  const times = vm.interrupts.add(`contention:${vcpu.index}`, interrupts / 4);
  const fields = { common_pid: vcpu.thread.tid, lock_addr: 0, flags: 1 };
  sink.count('lock/contention_begin', fields, times);
  sink.count('lock/contention_end', { ...fields, ret: 0 }, times);
  spread(3000, times, (ns, part) =>
    sink.interval('lock/contention_begin', 'lock/contention_end', fields, ns, part),
  );
}

/** Half of them take the nominal time, a quarter take half of it, and a quarter take twice as long. */
function spread(ns: number, times: number, tell: (ns: number, times: number) => void): void {
  const short = Math.floor(times / 4);
  const long = Math.floor(times / 4);
  if (short > 0) tell(Math.round(ns / 2), short);
  if (long > 0) tell(ns * 2, long);
  if (times > short + long) tell(ns, times - short - long);
}
