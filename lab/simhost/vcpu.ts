import { Meters } from './random.ts';
import { LogHistogram } from './statistics.ts';
import type { SimThread } from './thread.ts';

/** Basic exit reasons of VMX, arch/x86/include/uapi/asm/vmx.h. */
export const REASON = {
  EXTERNAL_INTERRUPT: 1,
  INTERRUPT_WINDOW: 7,
  CPUID: 10,
  HLT: 12,
  IO_INSTRUCTION: 30,
  MSR_WRITE: 32,
  PAUSE_INSTRUCTION: 40,
  APIC_ACCESS: 44,
  EPT_VIOLATION: 48,
  EPT_MISCONFIG: 49,
  PREEMPTION_TIMER: 52,
} as const;

export type ReasonName = keyof typeof REASON;

/**
 * Mean time that KVM takes to handle an exit: assumptions, of the order that `perf kvm stat` shows on current
 * machines.
 */
export const EXIT_NS: Readonly<Record<ReasonName, number>> = {
  EXTERNAL_INTERRUPT: 1400,
  INTERRUPT_WINDOW: 900,
  CPUID: 800,
  HLT: 90_000,
  IO_INSTRUCTION: 9000,
  MSR_WRITE: 1100,
  PAUSE_INSTRUCTION: 1500,
  APIC_ACCESS: 2600,
  EPT_VIOLATION: 4200,
  EPT_MISCONFIG: 2200,
  PREEMPTION_TIMER: 1000,
};

/** A vCPU: its thread and its KVM statistics. */
export class SimVcpu {
  readonly stats = new Meters();
  /** By exit reason. */
  readonly exits = new Meters();
  readonly histograms: Readonly<Record<string, LogHistogram>> = {
    halt_poll_success_hist: new LogHistogram(),
    halt_poll_fail_hist: new LogHistogram(),
    halt_wait_hist: new LogHistogram(),
  };
  isBlocking = false;

  constructor(
    readonly index: number,
    readonly thread: SimThread,
  ) {}

  /** A statistic by its KVM name. For a histogram, the first bucket, as in debugfs. */
  statistic(name: string): number {
    if (name === 'blocking') return this.isBlocking ? 1 : 0;
    const histogram = this.histograms[name];
    return histogram === undefined ? this.stats.value(name) : (histogram.buckets[0] ?? 0);
  }
}
