/**
 * All thresholds and time spans of the rules. To change one, edit it here and run `npm run rules`. docs/alerts.md
 * lists the faults that each of them finds and misses.
 */

/**
 * Window of all rates. It must hold at least four scrapes: make it longer for a scrape interval above 30 s.
 */
export const WINDOW = '2m';
/**
 * Window for data that is counted in windows or sampled (trace.budget), which needs more time for as many
 * samples.
 */
export const SAMPLED_WINDOW = '5m';

/**
 * A gauge keeps its last value for this long in alerts with a `for` of ten minutes or more: three scrapes of
 * 15 s, or one of 30 s.
 */
export const MISSED = '1m';

/** Below this rate (I/Os per second) a ratio per I/O is noise and is not recorded. */
export const MIN_IOPS = 10;
/**
 * The same limit for the mean latency. It is lower because a disk that takes seconds per I/O completes few. Six I/Os
 * in a window are enough for a mean.
 */
export const MIN_IOPS_OF_LATENCY = 0.05;

/**
 * Exits per I/O before they count as excess: the paper's kick, injection and EOI (2.2), a halt, and the
 * host's interrupt for the completion.
 */
export const EXITS_PER_IO = 5;

/**
 * If the steps of the I/O path are traced: allowed exits per kick, injection and EOI, including that exit
 * itself. A VM that polls has few of these steps and so gets no allowance of five exits per I/O. The lab
 * measured 1.5 at depth 16, and 2.3 at depth 1, where an I/O is so slow that timer ticks fall into it
 * (docs/sources.md).
 */
export const EXITS_PER_PATH_EVENT = 2;

/**
 * If the I/Os of a VM are no longer counted, for example because its monitor hangs, the rules assume its
 * maximum rate of this time.
 */
export const unknownIos = { memory: '1h', resolution: '5m' } as const;

/** Recorded VMs of a host by each measure: the worst ten of a fleet are among the worst ten of each host. */
export const TOP = 10;

export const baseline = {
  /** A VM's day, in steps of five minutes: 288 points. */
  window: '1d',
  resolution: '5m',
  /** The 95th percentile of the day: a storm of less than an hour does not change it. */
  quantile: 0.95,
  /** Points before a VM has a baseline: six hours. */
  minPoints: 72,
  /**
   * Maximum age of the baseline. It is evaluated every `resolution`, so a late evaluation leaves it slightly
   * older than Prometheus' lookback.
   */
  memory: '15m',
} as const;

export const exitStorm = {
  /**
   * Excess exits per second and vCPU. A guest without I/O has some hundred (timer, IPIs); a guest in a loop
   * of port I/O has more than 50,000.
   */
  perVcpu: 10_000,
  for: '2m',
  keepFiringFor: '5m',
} as const;

export const exitStormAgainstBaseline = {
  /** Multiple of the VM's own 95th percentile. */
  factor: 4,
  /** Excess exits per second and vCPU below which growth does not matter. */
  minPerVcpu: 2000,
  for: '5m',
  keepFiringFor: '10m',
} as const;

export const exitLatency = {
  /**
   * 99th percentile in seconds, without halts. An exit to user space and back takes some ten microseconds.
   */
  p99: 0.001,
  for: '10m',
  keepFiringFor: '10m',
} as const;

/** Longer than libvirt takes to pin a VM that starts or arrives by migration. */
export const affinityDrift = { for: '2m', keepFiringFor: '3m' } as const;
export const threadsShareCpu = { for: '2m', keepFiringFor: '3m' } as const;
/** With automatic NUMA balancing, memory follows a moved VM within minutes. */
export const crossNodeIo = { for: '15m', keepFiringFor: '10m' } as const;

export const vcpuStarved = {
  /** Seconds per second that the VM's most starved vCPU waits for a CPU. The guest sees this as steal. */
  wait: 0.1,
  for: '5m',
  keepFiringFor: '5m',
} as const;

export const vmThrottled = {
  /** CPU seconds per second for which a quota stops the VM. */
  throttled: 0.1,
  for: '5m',
  keepFiringFor: '5m',
} as const;

export const ioThreadSaturated = {
  /** Seconds per second that the busiest I/O thread runs. */
  run: 0.95,
  for: '10m',
  keepFiringFor: '5m',
} as const;

export const pollingRegressed = {
  /**
   * Kicks, injections and EOIs per I/O. With effective polling there are fewer than 0.2, without polling 3
   * (paper, 2.2).
   */
  exitsPerIo: 1,
  /** Below this rate (I/Os per second) polling threads may sleep, and kicks are expected. */
  minIops: 1000,
  /** A VM counts as polling for this long after polling was last measured. */
  memory: '1h',
  for: '5m',
  keepFiringFor: '5m',
} as const;

export const haltPollWaste = {
  /** Seconds of failed halt polls per second and vCPU. */
  perVcpu: 0.05,
  /** Multiple of the time of successful polls. */
  ofSuccess: 2,
  for: '10m',
  keepFiringFor: '10m',
} as const;

export const queueImbalance = {
  /** Jain's index over a device's queues: 0.5 if half of them are idle. */
  fairness: 0.5,
  /** A guest with little I/O submits it from one vCPU. */
  minIops: 10_000,
  for: '15m',
  keepFiringFor: '10m',
} as const;

export const diskLatency = {
  /**
   * Mean seconds of a VM's disk operation. NVMe takes up to a tenth of a millisecond, SATA SSDs up to one.
   */
  mean: 0.02,
  for: '5m',
  keepFiringFor: '5m',
} as const;

/**
 * I/Os are in flight at each scrape of the window, and none completes. Most of the time is in `for`, because
 * a device without earlier scrapes passes a window of any length after two scrapes.
 */
export const ioStalled = { window: '1m', for: '2m', keepFiringFor: '2m' } as const;

export const techniqueLost = {
  /** Age at which a loss is no longer new, and so the maximum duration of the alert. */
  memory: '6h',
  /** As long as an affinity drift. The exporter has already confirmed the loss with a second measurement. */
  for: '2m',
  keepFiringFor: '5m',
} as const;

/** vCPUs that used APICv or AVIC within `memory`, and do not now. KVM also inhibits it for moments. */
export const apicvLost = { memory: '6h', resolution: '5m', for: '10m', keepFiringFor: '5m' } as const;

/** A collector that worked within `memory` and fails now. `doctor` reports collectors that never worked. */
export const collectorFailing = { memory: '1d', for: '15m', keepFiringFor: '5m' } as const;
/** As long as for trace events, so that one loss is one alert. */
export const samplesLost = { window: '10m', for: '5m', keepFiringFor: '10m' } as const;
/** Start times that fall: two processes in turns. A clock that is set back makes one fall, and a restart none. */
export const twoWriters = { window: '10m', falls: 2, for: '5m', keepFiringFor: '10m' } as const;
/** Free space, as a share of the free space and the store's own data. */
export const storeDisk = { free: 0.1, for: '5m', keepFiringFor: '10m' } as const;
export const traceDrops = { window: '10m', for: '5m', keepFiringFor: '10m' } as const;
/**
 * Intervals of its schedule in which a task did not finish. A busy host delays one run, not five of them for
 * so long.
 */
export const taskStalled = { intervals: 5, for: '5m', keepFiringFor: '1m' } as const;
export const seriesLimited = { for: '10m', keepFiringFor: '10m' } as const;
/** An upgrade with a restart takes seconds; a reboot of the host takes minutes. */
export const down = { for: '5m', keepFiringFor: '1m' } as const;
/** A host that had a target within `memory` and has none now: somebody, or a broken discovery, removed it. */
export const hostMissing = { memory: '6h', resolution: '5m', for: '10m', keepFiringFor: '5m' } as const;
export const hostLagging = {
  /** Seconds since the newest recorded series: four missed evaluations of a minute. */
  lag: 240,
  /** Longer outages are those of KvmTelemetryHostMissing. */
  memory: '1h',
  resolution: '1m',
  for: '5m',
  keepFiringFor: '5m',
} as const;
/** Series of a host: 500 VMs with 400 each. `sample_limit` should be twice as much. */
export const seriesBudget = { series: 200_000, for: '15m', keepFiringFor: '15m' } as const;
