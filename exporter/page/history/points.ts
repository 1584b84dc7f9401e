import { EXIT_SECONDS } from '../../assessment/cause/measures.ts';
import type { VmCounters } from '../../model/vm-counters.ts';
import type { Drawn } from '../browser/history.ts';
import { quantile } from '../browser/quantiles.ts';
import type { VmRates } from '../browser/rates.ts';
import type { LiveOverview } from '../live.ts';

const MINUTE = 60;
const MINUTES = 60;

/** Quantiles of the durations of exits between two moments, in seconds. */
export function latencies(
  before: VmCounters | undefined,
  now: VmCounters,
): Readonly<Record<'p50' | 'p99', number | undefined>> {
  const past = before?.durations;
  if (past === undefined || now.durations === undefined) return { p50: undefined, p99: undefined };
  const grown = [...now.durations]
    .map(([exponent, count]) => ({ exponent, count: count - (past.get(exponent) ?? 0) }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.exponent - b.exponent);
  // A bucket begins at half of its end.
  const ends = grown.flatMap(({ exponent, count }) => [
    { bound: 2 ** (exponent - 1) / 1e9, count: 0 },
    { bound: 2 ** exponent / 1e9, count },
  ]);
  const all = {
    bounds: ends.map(({ bound }) => bound),
    counts: ends.map(({ count }) => count),
    count: 0,
    sum: undefined,
  };
  return { p50: quantile(all, 0.5), p99: quantile(all, 0.99) };
}

/**
 * Share of the vCPUs' time in exits other than halts. Exits are timed only part of the time, so the share uses their
 * mean.
 */
export function exitShare(
  before: VmCounters | undefined,
  now: VmCounters,
  { exits, path }: VmRates,
): number | undefined {
  if (exits === undefined || now.vcpus === 0) return undefined;
  const others = Math.max(0, exits - (path['halt'] ?? 0));
  return (others * (meanDuration(before, now) ?? EXIT_SECONDS)) / now.vcpus;
}

/** The mean, as if the durations of a bucket were spread evenly. */
function meanDuration(before: VmCounters | undefined, now: VmCounters): number | undefined {
  const past = before?.durations;
  if (past === undefined || now.durations === undefined) return undefined;
  let [seconds, count] = [0, 0];
  for (const [exponent, total] of now.durations) {
    const grown = Math.max(0, total - (past.get(exponent) ?? 0));
    count += grown;
    seconds += (grown * 0.75 * 2 ** exponent) / 1e9;
  }
  return count === 0 ? undefined : seconds / count;
}

/** Four significant digits: less text, and enough for a chart. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** Start of the last sixty minutes, in seconds of the epoch. */
function startOf(endMs: number): number {
  return Math.floor(endMs / 1000) - MINUTES * MINUTE;
}

/** @returns the ends of the last sixty minutes, in seconds of the epoch */
export function lastMinutes(endMs: number): number[] {
  const start = startOf(endMs);
  return Array.from({ length: MINUTES }, (_, i) => start + (i + 1) * MINUTE);
}

/**
 * The mean of each of the last sixty minutes, of each series that has a value in one of them.
 *
 * @param endMs milliseconds of the epoch at which the last minute ends
 */
export function minutesOf(
  endMs: number,
  { times, values }: Drawn,
  names: readonly string[],
): LiveOverview['vms'][string] {
  const start = startOf(endMs);
  const means = names.map((name, i) => [name, meansOf(times, values[i] ?? [], start)] as const);
  return Object.fromEntries(means.filter(([, known]) => known.some((mean) => mean !== null)));
}

function meansOf(
  times: readonly number[],
  values: readonly (number | null)[],
  start: number,
): (number | null)[] {
  const sums = new Float64Array(MINUTES);
  const counts = new Uint16Array(MINUTES);
  for (const [i, time] of times.entries()) {
    const value = values[i];
    const minute = Math.min(MINUTES - 1, Math.floor((time - start) / MINUTE));
    if (value === null || value === undefined || minute < 0) continue;
    sums[minute] = (sums[minute] ?? 0) + value;
    counts[minute] = (counts[minute] ?? 0) + 1;
  }
  return Array.from(sums, (sum, i) => {
    const count = counts[i] ?? 0;
    return count === 0 ? null : rounded(sum / count);
  });
}
