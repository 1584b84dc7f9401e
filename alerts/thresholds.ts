/**
 * Every number that a rule compares with, and every time span: to change one, edit it here and run `npm run rules`.
 * docs/alerts.md has what each of them finds and misses.
 */

/** Window of all rates. Four scrapes at least must fit into it: for a scrape interval above 30 s make it longer. */
export const WINDOW = '2m';
/** Of what is sampled in short windows (trace.dutyCycle), which needs more time for as many samples. */
export const SAMPLED_WINDOW = '5m';

/** So long a gauge counts as what it was last, in alerts with a `for` of ten minutes or more: three scrapes of 15 s, one of 30 s. */
export const MISSED = '1m';

/** Below so many I/Os a second a ratio per I/O is noise, and is not recorded. */
export const MIN_IOPS = 10;
/** Likewise the mean latency: lower, as a disk that takes seconds completes few. Six in a window are enough. */
export const MIN_IOPS_OF_LATENCY = 0.05;

/**
 * Exits that one I/O may cost before they count as excess: the paper's kick, injection and EOI (2.2), a halt, and the host's
 * interrupt for the completion.
 */
export const EXITS_PER_IO = 5;

/**
 * Where the stages of the I/O path are traced, exits that may come with each kick, injection and EOI, itself included: a VM
 * that polls has few of these, and is not granted five for each I/O. In the lab there were 1.5 at depth 16 and 2.3 at depth 1,
 * where an I/O is so slow that timer ticks fall on it (docs/sources.md).
 */
export const EXITS_PER_PATH_EVENT = 2;

/** For how long a VM whose I/Os nobody counts any more, as its monitor hangs, is taken to do as many as it did at most. */
export const unknownIos = { memory: '1h', resolution: '5m' } as const;

/** Stages above affinity are measured; below so many I/Os a second they are what is configured, which proves nothing. */
export const stages = {
  minIops: 1000,
  /** So long a stage must be in force: what a daemon that has just started says is not measured yet. */
  held: '5m',
  heldResolution: '30s',
  /** Of those that were held, in steps of this. */
  bestResolution: '1m',
} as const;

export const baseline = {
  /** A VM's day, in steps of five minutes: 288 points. */
  window: '1d',
  resolution: '5m',
  /** What the busiest twentieth of the day reached: a storm of less than an hour leaves it as it is. */
  quantile: 0.95,
  /** Points before a VM has a baseline: six hours. */
  minPoints: 72,
  /** How old it may be: evaluated every `resolution`, it is a little older than Prometheus looks back when the next is late. */
  memory: '15m',
} as const;

export const exitStorm = {
  /** Excess exits a second and vCPU. A guest that does no I/O has some hundred (timer, IPIs); one in a loop of port I/O above 50,000. */
  perVcpu: 10_000,
  for: '2m',
  keepFiringFor: '5m',
} as const;

export const exitStormAgainstBaseline = {
  /** Times the VM's own 95th percentile. */
  factor: 4,
  /** Excess exits a second and vCPU below which no growth matters. */
  minPerVcpu: 2000,
  for: '5m',
  keepFiringFor: '10m',
} as const;

export const exitLatency = {
  /** Seconds, 99th percentile without halts. An exit to user space and back takes some ten microseconds. */
  p99: 0.001,
  for: '10m',
  keepFiringFor: '10m',
} as const;

/** Longer than libvirt takes to pin a VM that starts or arrives. */
export const affinityDrift = { for: '2m', keepFiringFor: '3m' } as const;
export const threadsShareCpu = { for: '2m', keepFiringFor: '3m' } as const;
/** Memory follows a moved VM within minutes, where automatic NUMA balancing is on. */
export const crossNodeIo = { for: '15m', keepFiringFor: '10m' } as const;

export const vcpuStarved = {
  /** Seconds a second that the VM's most starved vCPU waits for a CPU: what the guest sees as steal. */
  wait: 0.1,
  for: '5m',
  keepFiringFor: '5m',
} as const;

export const ioThreadSaturated = {
  /** Seconds a second that the busiest I/O thread runs. */
  run: 0.95,
  for: '10m',
  keepFiringFor: '5m',
} as const;

export const pollingRegressed = {
  /** Kicks, injections and EOIs an I/O. With polling in force there are fewer than 0.2, without it 3 (paper, 2.2). */
  exitsPerIo: 1,
  /** Below so many I/Os a second polling threads may sleep, and kicks are right. */
  minIops: 1000,
  /** How long after polling was last measured a VM counts as one that polls. */
  memory: '1h',
  for: '5m',
  keepFiringFor: '5m',
} as const;

export const haltPollWaste = {
  /** Seconds a second and vCPU that are polled in vain. */
  perVcpu: 0.05,
  /** Times the polls that found something. */
  ofSuccess: 2,
  for: '10m',
  keepFiringFor: '10m',
} as const;

export const queueImbalance = {
  /** Jain's index over a device's queues: half of them idle is 0.5. */
  fairness: 0.5,
  /** A guest that does little does it from one vCPU. */
  minIops: 10_000,
  for: '15m',
  keepFiringFor: '10m',
} as const;

export const diskLatency = {
  /** Mean seconds of a VM's disk operation. NVMe answers within a tenth of a millisecond, SATA SSDs within one. */
  mean: 0.02,
  for: '5m',
  keepFiringFor: '5m',
} as const;

/**
 * In flight at each scrape of the window, and nothing completes in it. Most of the time is `for`: of a device that was not
 * scraped before a window of any length is seen in two scrapes.
 */
export const ioStalled = { window: '1m', for: '2m', keepFiringFor: '2m' } as const;

export const stageLost = {
  /** How far back the best stage is looked for: so long the alert lasts at most. */
  memory: '6h',
  /** A VM that reboots or arrives is judged anew: a minute for the measurement, two judgements. */
  for: '10m',
  keepFiringFor: '5m',
} as const;

/** A probe that has worked within `memory` and no longer does; those that never worked are told by doctor. */
export const probeFailing = { memory: '1d', for: '15m', keepFiringFor: '5m' } as const;
export const traceDrops = { window: '10m', for: '5m', keepFiringFor: '10m' } as const;
/** Intervals of its schedule in which a task did not come to its end: a busy host makes a run late, not five of them for so long. */
export const taskStalled = { intervals: 5, for: '5m', keepFiringFor: '1m' } as const;
export const seriesLimited = { for: '10m', keepFiringFor: '10m' } as const;
/** An upgrade with a restart takes seconds; a host that reboots, minutes. */
export const down = { for: '5m', keepFiringFor: '1m' } as const;
