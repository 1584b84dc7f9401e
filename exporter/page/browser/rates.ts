import type { Counts, LiveCounters, LiveDevice } from '../live.ts';

/** Per second, from two collections; undefined if either lacks the counter or the counter was reset. */
export type Rate = number | undefined;

export interface VmRates {
  readonly exits: Rate;
  readonly iops: Rate;
  /** Exits of the I/O path, by step. */
  readonly path: Readonly<Record<string, Rate>>;
  /** The same per I/O; undefined without I/Os. */
  readonly perIo: Readonly<Record<'kick' | 'inject' | 'eoi', Rate>>;
  /** Number of busy CPUs, by role. */
  readonly cores: Readonly<Record<string, Rate>>;
  readonly vcpuCores: Rate;
  readonly ioCores: Rate;
  readonly otherCores: Rate;
  /** Seconds in run queues per second, over all threads. */
  readonly wait: Rate;
  /** The same by role. */
  readonly waits: Readonly<Record<string, Rate>>;
  /** CPU seconds per second for which a CPU quota stops the VM, by cgroup. */
  readonly throttled: Readonly<Record<string, Rate>>;
  /** Devices with requests in flight at both collections, of which none completed in between. */
  readonly stalled: readonly LiveDevice[];
}

/** Shorter intervals without a completed request are normal. */
const STALL_SECONDS = 4;

function stalledSince(before: readonly LiveDevice[], now: readonly LiveDevice[]): LiveDevice[] {
  return now.filter(({ device, inFlight, completed }) => {
    const past = before.find((each) => each.device === device);
    return past !== undefined && past.inFlight > 0 && inFlight > 0 && past.completed === completed;
  });
}

/** A counter that decreased was reset, and its growth cannot be assigned to this interval. */
export function rateOf(before: number | undefined, now: number | undefined, seconds: number): Rate {
  if (before === undefined || now === undefined || !(seconds > 0) || now < before) return undefined;
  return (now - before) / seconds;
}

/** Rates of the counters that are in both. A new counter has no rate yet. */
export function ratesOf(
  before: Counts | undefined,
  now: Counts | undefined,
  seconds: number,
): Record<string, Rate> {
  return Object.fromEntries(
    Object.entries(now ?? {}).map(([name, value]) => [name, rateOf(before?.[name], value, seconds)]),
  );
}

/** @param before undefined if the VM was missing; a different VM under the same name is ignored as well */
export function vmRates(before: LiveCounters | undefined, now: LiveCounters, seconds: number): VmRates {
  const past = before?.pid === now.pid ? before : undefined;
  const cores = ratesOf(past?.run, now.run, seconds);
  const path = ratesOf(past?.path, now.path, seconds);
  const waits = ratesOf(past?.wait, now.wait, seconds);
  const iops = past?.io?.from === now.io?.from ? rateOf(past?.io?.total, now.io?.total, seconds) : undefined;
  const perIo = (step: string): Rate =>
    iops === undefined || iops === 0 ? undefined : over(path[step], iops);
  return {
    exits:
      past?.exits?.from === now.exits?.from
        ? rateOf(past?.exits?.total, now.exits?.total, seconds)
        : undefined,
    iops,
    path,
    perIo: { kick: perIo('kick'), inject: perIo('inject'), eoi: perIo('eoi') },
    cores,
    vcpuCores: sumOf(cores, (role) => role === 'vcpu'),
    ioCores: sumOf(cores, (role) => now.ioRoles.includes(role)),
    otherCores: sumOf(cores, (role) => role !== 'vcpu' && !now.ioRoles.includes(role)),
    wait: sumOf(waits, () => true),
    waits,
    throttled: ratesOf(past?.throttled, now.throttled, seconds),
    stalled: seconds >= STALL_SECONDS ? stalledSince(past?.devices ?? [], now.devices) : [],
  };
}

/** undefined if there is nothing to sum. */
export function sumOf(rates: Readonly<Record<string, Rate>>, isWanted: (name: string) => boolean): Rate {
  let sum: Rate;
  for (const [name, rate] of Object.entries(rates)) {
    if (rate !== undefined && isWanted(name)) sum = (sum ?? 0) + rate;
  }
  return sum;
}

function over(rate: Rate, by: number): Rate {
  return rate === undefined ? undefined : rate / by;
}

/** Names the kicks of a vCPU on a queue. */
export function kickKey({ queue, vcpu }: { readonly queue: string; readonly vcpu: string }): string {
  return `${queue} ${vcpu}`;
}
