import type { Counts, LiveVm } from '../live.ts';

/** Per second, as of the last two collections; undefined where either lacks the counter, or it began anew. */
export type Rate = number | undefined;

export interface VmRates {
  readonly exits: Rate;
  readonly iops: Rate;
  /** Exits of the I/O path, by stage. */
  readonly path: Readonly<Record<string, Rate>>;
  /** The same by I/O; undefined where there was none. */
  readonly perIo: Readonly<Record<'kick' | 'inject' | 'eoi', Rate>>;
  /** CPUs that are kept busy, by role. */
  readonly cores: Readonly<Record<string, Rate>>;
  readonly vcpuCores: Rate;
  readonly ioCores: Rate;
  readonly otherCores: Rate;
  /** Seconds in run queues a second, over all threads. */
  readonly wait: Rate;
}

/** Roles that move a VM's data. */
const IO_ROLES: ReadonlySet<string> = new Set(['iothread', 'vhost', 'sqpoll', 'io_worker', 'worker']);

/** A counter that fell was reset: what happened since then is not known to lie in this interval alone. */
export function rateOf(before: number | undefined, now: number | undefined, seconds: number): Rate {
  if (before === undefined || now === undefined || !(seconds > 0) || now < before) return undefined;
  return (now - before) / seconds;
}

/** The rates of each counter that both have; a name that is new has none yet. */
export function ratesOf(
  before: Counts | undefined,
  now: Counts | undefined,
  seconds: number,
): Record<string, Rate> {
  return Object.fromEntries(
    Object.entries(now ?? {}).map(([name, value]) => [name, rateOf(before?.[name], value, seconds)]),
  );
}

/** @param before undefined where the VM was not there; another VM under the same name has no past either */
export function vmRates(before: LiveVm | undefined, now: LiveVm, seconds: number): VmRates {
  const past = before?.pid === now.pid ? before : undefined;
  const cores = ratesOf(past?.run, now.run, seconds);
  const path = ratesOf(past?.path, now.path, seconds);
  const iops = past?.io?.from === now.io?.from ? rateOf(past?.io?.total, now.io?.total, seconds) : undefined;
  const perIo = (stage: string): Rate =>
    iops === undefined || iops === 0 ? undefined : over(path[stage], iops);
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
    ioCores: sumOf(cores, (role) => IO_ROLES.has(role)),
    otherCores: sumOf(cores, (role) => role !== 'vcpu' && !IO_ROLES.has(role)),
    wait: sumOf(ratesOf(past?.wait, now.wait, seconds), () => true),
  };
}

/** undefined where there is nothing to sum. */
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
