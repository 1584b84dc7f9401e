import { MSEC_PER_SEC } from '../../../kernel/units.ts';
import type { CpuUse } from '../../../probes/proc-stat.ts';
import type { Measured } from './measures.ts';
import type { Part, PartTimes, ThreadTimes } from './thread-times.ts';

/** A sum of times, and their number. */
export interface Timed {
  readonly seconds: number;
  readonly times: number;
}

/** Counters of possible causes of slow I/O of a VM, at one moment. undefined: unknown. */
export interface Evidence {
  /** Milliseconds of a monotonic clock. */
  readonly at: number;
  readonly threads: ThreadTimes | undefined;
  /** Seconds for which a CPU quota stopped it, by cgroup; undefined if the cgroups are unknown. */
  readonly throttled: Readonly<Record<string, number>> | undefined;
  /** All CPUs of the host. */
  readonly cpus: ReadonlyMap<number, CpuUse> | undefined;
  /** Mean of the CPUs of its threads, in hertz. */
  readonly frequency: number | undefined;
  /** Seconds in which a task of its cgroup waited; undefined without PSI. */
  readonly stalls: Readonly<Record<'cpu' | 'io' | 'memory', number | undefined>>;
  /** I/Os as the VMM counts them. */
  readonly ios: Timed | undefined;
  /** Requests at the host's devices. */
  readonly requests: Timed | undefined;
}

/** A thread that wants less CPU time than this may wait for most of it without any effect on I/O. */
const LEAST_WANTED = 0.05;
/** libvirt's cgroups of single threads. */
const PART_GROUPS: readonly (readonly [Part, RegExp])[] = [
  ['vcpu', /^vcpu\d+$/],
  ['io', /^iothread\d+$/],
];
const EMULATOR = 'emulator';

/** The growth between two moments. A counter that fell or is new has none. */
export function measuredBetween(before: Evidence, now: Evidence): Measured {
  const seconds = (now.at - before.at) / MSEC_PER_SEC;
  if (!(seconds > 0)) return {};
  return known({
    ...threadShares(before, now, seconds),
    latency: meanOf(before.ios, now.ios),
    'device time': deviceTime(before, now),
    'memory stall': rate(before.stalls.memory, now.stalls.memory, seconds),
    'io stall': rate(before.stalls.io, now.stalls.io, seconds),
    // PSI counts run-queue waits and throttled time a second time.
    'cpu stall': now.threads === undefined ? rate(before.stalls.cpu, now.stalls.cpu, seconds) : undefined,
    frequency: now.frequency,
  });
}

type Unchecked = { readonly [M in keyof Measured]: number | undefined };

function known(measured: Unchecked): Measured {
  return Object.fromEntries(Object.entries(measured).filter(([, value]) => value !== undefined));
}

interface Use {
  readonly run: number;
  readonly wait: number;
}

function threadShares(before: Evidence, now: Evidence, seconds: number): Unchecked {
  const times = timesBetween(before.threads, now.threads);
  const throttled = throttledBetween(before.throttled, now.throttled, seconds);
  if (times === undefined) return {};
  const { vcpu, io } = times;
  const all = { run: vcpu.run + io.run, wait: vcpu.wait + io.wait };
  // The scheduler counts the time for which a quota stops a thread as wait. The time of a slice includes that of
  // other VMs.
  const whole = Math.min(throttled?.all ?? 0, all.wait);
  const own = (part: Part): number => Math.min(throttled?.[part] ?? 0, times[part].wait);
  const waitOf = (part: Part): number => {
    const { wait } = times[part];
    return Math.max(0, wait - own(part) - (all.wait > 0 ? (whole * wait) / all.wait : 0));
  };
  const shareOf = (taken: number, { run }: Use): number => taken / Math.max(LEAST_WANTED, run + taken);
  return {
    quota: throttled && shareOf(whole, all),
    'quota vcpu': throttled && shareOf(own('vcpu'), vcpu),
    'quota io': throttled && shareOf(own('io'), io),
    'wait vcpu': shareOf(waitOf('vcpu'), vcpu),
    'wait io': shareOf(waitOf('io'), io),
    ...cpuShares(before, now, seconds, all.run),
  };
}

/** Seconds in run queues per second, over the vCPUs and the threads that do the I/O; undefined if unknown. */
export function queueWait(before: Evidence, now: Evidence): number | undefined {
  const times = timesBetween(before.threads, now.threads);
  return times === undefined ? undefined : times.vcpu.wait + times.io.wait;
}

/** Per second. */
function timesBetween(
  before: ThreadTimes | undefined,
  now: ThreadTimes | undefined,
): Readonly<Record<Part, Use>> | undefined {
  if (before === undefined || now === undefined) return undefined;
  const seconds = (now.at - before.at) / MSEC_PER_SEC;
  const grown = (past: PartTimes, current: PartTimes): Use | undefined => {
    const run = rate(past.run, current.run, seconds);
    const wait = rate(past.wait, current.wait, seconds);
    return run === undefined || wait === undefined ? undefined : { run, wait };
  };
  const vcpu = grown(before.parts.vcpu, now.parts.vcpu);
  const io = grown(before.parts.io, now.parts.io);
  return vcpu === undefined || io === undefined ? undefined : { vcpu, io };
}

/** Nested cgroups are not added up: the largest counts. A cgroup that was not read before makes this round unknown. */
function throttledBetween(
  before: Evidence['throttled'],
  now: Evidence['throttled'],
  seconds: number,
): Readonly<Record<Part | 'all', number>> | undefined {
  if (before === undefined || now === undefined || Object.keys(now).some((group) => !(group in before)))
    return undefined;
  const sums = { vcpu: 0, io: 0, all: 0 };
  for (const [group, value] of Object.entries(now)) {
    const taken = rate(before[group], value, seconds) ?? 0;
    const [part] = PART_GROUPS.find(([, pattern]) => pattern.test(group)) ?? [];
    if (part !== undefined) sums[part] += taken;
    else if (group !== EMULATOR) sums.all = Math.max(sums.all, taken);
  }
  return sums;
}

/** An I/O waits for the part whose CPUs lose the most time. */
function cpuShares(
  { cpus: past }: Evidence,
  { cpus, threads }: Evidence,
  seconds: number,
  run: number,
): Unchecked {
  if (past === undefined || cpus === undefined || threads === undefined) return {};
  const on = (list: readonly number[], of: (use: CpuUse) => number): number | undefined =>
    list.length === 0
      ? undefined
      : list.reduce((sum, cpu) => {
          const [before, now] = [past.get(cpu), cpus.get(cpu)];
          return sum + (before === undefined || now === undefined ? 0 : Math.max(0, of(now) - of(before)));
        }, 0) / seconds;
  const { vcpu, io } = threads.parts;
  const worst = (of: (use: CpuUse) => number): number | undefined => {
    const shares = [vcpu.cpus, io.cpus].flatMap((list) => {
      const sum = on(list, of);
      return sum === undefined ? [] : [sum / list.length];
    });
    return shares.length === 0 ? undefined : Math.max(...shares);
  };
  const busy = on([...new Set([...vcpu.cpus, ...io.cpus])], (use) => use.busy);
  return {
    interrupts: worst((use) => use.interrupts),
    steal: worst((use) => use.steal),
    others: busy === undefined ? undefined : Math.max(0, busy - run),
  };
}

/** Requests of other users of the device are not part of the VM's I/O, and an I/O may need no request at all. */
function deviceTime(before: Evidence, now: Evidence): number | undefined {
  const mean = meanOf(before.requests, now.requests);
  if (mean === undefined || before.ios === undefined || now.ios === undefined) return mean;
  const ios = now.ios.times - before.ios.times;
  const requests = (now.requests?.times ?? 0) - (before.requests?.times ?? 0);
  return ios > 0 ? mean * Math.min(1, requests / ios) : undefined;
}

function meanOf(before: Timed | undefined, now: Timed | undefined): number | undefined {
  if (before === undefined || now === undefined || now.seconds < before.seconds) return undefined;
  const times = now.times - before.times;
  return times > 0 ? (now.seconds - before.seconds) / times : undefined;
}

function rate(before: number | undefined, now: number | undefined, seconds: number): number | undefined {
  if (before === undefined || now === undefined || now < before || !(seconds > 0)) return undefined;
  return (now - before) / seconds;
}
