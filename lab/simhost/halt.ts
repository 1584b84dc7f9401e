import type { SimVcpu } from './vcpu.ts';

/** Parameters of a vCPU's idle time. */
export interface Idle {
  readonly seconds: number;
  readonly halts: number;
  /** Share of halts that KVM polls for, and share of the polls that succeed. */
  readonly attempted: number;
  readonly successful: number;
  /** Nanoseconds of a failed poll: at most kvm.halt_poll_ns. */
  readonly failNs: number;
}

/** Duration of a successful poll: assumption. */
const SUCCESS_NS = 25_000;

/** Halts a vCPU for some time, virt/kvm/kvm_main.c kvm_vcpu_halt(). @returns HLT exits */
export function halt(vcpu: SimVcpu, idle: Idle): number {
  const { stats, histograms } = vcpu;
  const halts = stats.add('halt_exits', idle.halts);
  const attempted = Math.min(halts, stats.add('halt_attempted_poll', idle.attempted * halts));
  const successful = Math.min(attempted, stats.add('halt_successful_poll', idle.successful * attempted));
  const failed = attempted - successful;
  stats.add('halt_poll_success_ns', successful * SUCCESS_NS);
  stats.add('halt_poll_fail_ns', failed * idle.failNs);
  histograms['halt_poll_success_hist']?.add(SUCCESS_NS, successful);
  histograms['halt_poll_fail_hist']?.add(idle.failNs, failed);
  const blocked = halts - successful;
  stats.add('halt_wakeup', blocked);
  const waitNs = idle.seconds * 1e9;
  stats.add('halt_wait_ns', blocked > 0 ? waitNs : 0);
  if (blocked > 0) histograms['halt_wait_hist']?.add(waitNs / blocked, blocked);
  vcpu.isBlocking = idle.seconds > 0 && vcpu.thread.demand < 0.5;
  return halts;
}
