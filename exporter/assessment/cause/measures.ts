/**
 * What may slow a VM's I/O, as the daemon's history has it. Shares are of the time, so that they can be compared with the
 * share of the time of an I/O that is lost.
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
  /** CPUs that other programs use there. */
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

/** Of an exit whose time is not known: a usual mean (docs/decisions/0044-causes-by-the-time-they-take.md). */
export const EXIT_SECONDS = 2e-6;
