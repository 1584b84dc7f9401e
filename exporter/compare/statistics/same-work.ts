import type { Configuration, Work } from '../model.ts';
import { someNames } from '../names.ts';
import type { Difference } from './assessment.ts';

/** With a larger difference in the share of reads, the I/Os are of another kind. */
const READ_SHARE = 0.05;
/** Relative differences. */
const REQUEST_SIZE = 0.1;
const LOAD = 0.1;
const OTHER_VMS = 0.2;
/** CPUs. Smaller differences of the other VMs' use are noise. */
const OTHER_VMS_CPUS = 0.5;

type Worked = Pick<Configuration, 'work' | 'hosts' | 'vms'>;

/** Differences of the work from that of the base that make metrics incomparable. */
export function differencesOf(base: Worked, { work, hosts, vms }: Worked): Difference[] {
  return [
    ...sets('on the hosts', base.hosts, hosts, true),
    ...sets('of the VMs', base.vms, vms, true),
    ...reads(base.work, work),
    ...requestSize(base.work, work),
    ...load(base.work, work),
    ...vcpus(base.work, work),
    ...otherVms(base.work, work),
  ];
}

function sets(
  what: string,
  before: readonly string[],
  now: readonly string[],
  concernsPerIo: boolean,
): Difference[] {
  const isSame = before.length === now.length && now.every((name) => before.includes(name));
  if (isSame || before.length === 0 || now.length === 0) return [];
  return [{ text: `measured ${what} ${someNames(now)}, in the base ${someNames(before)}`, concernsPerIo }];
}

function reads({ readShare: before }: Work, { readShare: now }: Work): Difference[] {
  if (before === undefined || now === undefined || Math.abs(now - before) <= READ_SHARE) return [];
  return [
    { text: `${percent(now)} of the I/Os are reads, in the base ${percent(before)}`, concernsPerIo: true },
  ];
}

function requestSize({ bytesPerIo: before }: Work, { bytesPerIo: now }: Work): Difference[] {
  if (!differs(before, now, REQUEST_SIZE)) return [];
  return [{ text: `an I/O has ${kib(now)}, in the base ${kib(before)}`, concernsPerIo: true }];
}

/**
 * A guest with a fixed queue depth has as many I/Os in flight, and a guest with a fixed rate makes as many I/Os a second.
 * If neither is the same, the load was not.
 */
function load(before: Work, now: Work): Difference[] {
  if (!differs(before.iosPerSecond, now.iosPerSecond, LOAD)) return [];
  const rates = `${whole(now.iosPerSecond)} I/Os per second, in the base ${whole(before.iosPerSecond)}`;
  if (before.inFlight === undefined || now.inFlight === undefined)
    return [
      { text: `${rates}, and the number in flight is unknown: the load may differ`, concernsPerIo: false },
    ];
  if (!differs(before.inFlight, now.inFlight, LOAD)) return [];
  const depth = `${short(now.inFlight)} I/Os in flight, in the base ${short(before.inFlight)}`;
  return [{ text: `the load differs: ${depth}; ${rates}`, concernsPerIo: false }];
}

function vcpus({ vcpus: before }: Work, { vcpus: now }: Work): Difference[] {
  if (!differs(before, now, 0.01)) return [];
  return [{ text: `${short(now)} vCPUs, in the base ${short(before)}`, concernsPerIo: false }];
}

function otherVms({ otherVmsCpu: before }: Work, { otherVmsCpu: now }: Work): Difference[] {
  if (!differs(before, now, OTHER_VMS) || Math.abs(Number(now) - Number(before)) <= OTHER_VMS_CPUS) return [];
  const text = `the other VMs used ${short(now)} CPUs, in the base ${short(before)}`;
  return [{ text, concernsPerIo: false }];
}

function differs(before: number | undefined, now: number | undefined, relative: number): boolean {
  if (before === undefined || now === undefined || !Number.isFinite(before) || !Number.isFinite(now))
    return false;
  return Math.abs(now - before) > relative * Math.max(Math.abs(before), Math.abs(now));
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 1 ? 1 : 0)}%`;
const kib = (bytes: number | undefined): string => `${short(Number(bytes) / 1024)} KiB`;
const whole = (value: number | undefined): string => Math.round(Number(value)).toLocaleString('en-US');
const short = (value: number | undefined): string => String(Number(Number(value).toPrecision(3)));
