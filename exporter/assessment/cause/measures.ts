/**
 * Measures of possible causes of slow I/O, as the daemon's history has them. They are shares of time, to compare them
 * with the share of an I/O's time that is lost.
 */
export const MEASURES = [
  /** Seconds of an I/O as the VMM counts them. */
  'latency',
  /** Seconds of an I/O at the host's devices. */
  'device time',
  /** Share of the wanted CPU time that CPU quotas took: of the whole VM, its vCPUs, its I/O threads. */
  'quota',
  'quota vcpu',
  'quota io',
  /** Share of the wanted CPU time that threads waited in run queues, without what a quota took; `wait` only where parts are unknown. */
  'wait',
  'wait vcpu',
  'wait io',
  /** Share of the vCPUs' time in exits. */
  'exit time',
  /** Shares of the time of the CPUs that run the VM. */
  'interrupts',
  'steal',
  /** CPUs that other programs use on the same CPUs. */
  'others',
  /** Shares of the time in which a task of the VM's cgroup waited for memory, I/O, a CPU; the last only where waits are unknown. */
  'memory stall',
  'io stall',
  'cpu stall',
  /** Mean frequency of these CPUs in hertz. */
  'frequency',
] as const;

export type Measure = (typeof MEASURES)[number];

/** Absent: unknown. */
export type Measured = Readonly<Partial<Record<Measure, number>>>;

/** Assumed mean duration of an exit if exits are not timed (docs/decisions/0044-causes-by-the-time-they-take.md). */
export const EXIT_SECONDS = 2e-6;
