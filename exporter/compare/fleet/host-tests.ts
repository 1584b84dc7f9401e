import type { Test } from '../statistics/change.ts';
import { twoSidedP } from '../statistics/student-t.ts';
import { changesOfStayers, splitsOf } from './controls.ts';
import { valueIn } from './host-values.ts';
import { difference, intervalOf, type Mean, meanOf } from './mean.ts';
import type { FleetMetric } from './metrics.ts';
import type { FleetHost, HostTime } from './model.ts';

/** Hosts are the samples. Fewer of them allow no conclusion. */
export const MIN_HOSTS = 5;

export interface How {
  readonly confidence: number;
  readonly isComparable: boolean;
}

/** A test, and the change over time on the hosts that stayed; undefined if that is unknown or no ratio. */
export interface PairedTest {
  readonly test: Test;
  readonly trend: Mean | undefined;
}

/** Each host against itself, less the change on the hosts that stayed in the same times. */
export function pairedTest(
  metric: FleetMetric,
  times: readonly (readonly [HostTime, HostTime])[],
  stayers: readonly HostTime[],
  how: How,
): PairedTest {
  const known = times.flatMap(([before, after]) => {
    const [a, b] = [hostValue(metric, before), hostValue(metric, after)];
    return a === undefined || b === undefined
      ? []
      : [{ times: [before, after] as const, values: [a, b] as const }];
  });
  const befores = known.map(({ values: [a] }) => a);
  const why = tooFew(known.length);
  if (why !== undefined) return { test: unknownTest(metric, why, how), trend: undefined };
  const scale = scaleOf(known.flatMap(({ values }) => values));
  const own = meanOf(known.map(({ values: [a, b] }) => scale.to(b) - scale.to(a)));
  const others = changesOfStayers(
    stayers,
    stayers.length === 0 ? [] : splitsOf(known.map((each) => each.times)),
    (stayer, before, after) => {
      const [a, b] = [valueIn(metric, stayer, before), valueIn(metric, stayer, after)];
      if (a === undefined || b === undefined || (scale.isLog && (a === 0 || b === 0))) return undefined;
      return scale.to(b) - scale.to(a);
    },
  );
  const before = meanOf(befores.map(scale.to)).mean;
  if (stayers.length === 0) return { test: testOf(metric, scale, before, own, how), trend: undefined };
  const whyOthers = tooFew(others.length);
  if (whyOthers !== undefined)
    return { test: unknownTest(metric, `of those that stayed: ${whyOthers}`, how), trend: undefined };
  const trend = meanOf(others);
  return {
    test: testOf(metric, scale, before, difference(own, trend), how),
    trend: scale.isLog ? trend : undefined,
  };
}

/** Hosts of one group against those of another. */
export function unpairedTest(
  metric: FleetMetric,
  hosts: readonly FleetHost[],
  base: string,
  group: string,
  how: How,
): Test {
  const only = (one: string, other: string): number[] =>
    hosts.flatMap(({ groups }) => (groups.has(other) ? [] : (hostValue(metric, groups.get(one)) ?? [])));
  const [before, after] = [only(base, group), only(group, base)];
  const inBoth = hosts.filter(({ groups }) => groups.has(base) && groups.has(group)).length;
  if (Math.min(before.length, after.length) < MIN_HOSTS)
    return unknownTest(
      metric,
      `${after.length} hosts have a value in this group only, ${before.length} in the base only, and ${inBoth} were in both: ${MIN_HOSTS} are needed`,
      how,
    );
  const scale = scaleOf([...before, ...after]);
  const from = meanOf(before.map(scale.to));
  return testOf(metric, scale, from.mean, difference(meanOf(after.map(scale.to)), from), how);
}

function testOf(
  { better }: FleetMetric,
  { isLog, from: back }: Scale,
  base: number,
  change: Mean,
  { confidence, isComparable }: How,
): Test {
  const [low, high] = intervalOf(change, confidence);
  const relative = (value: number): number => (isLog ? Math.expm1(value) : value / base);
  const isRelative = isLog || base !== 0;
  return {
    better,
    gain: isRelative ? relative(change.mean) : undefined,
    interval: isRelative ? [relative(low), relative(high)] : undefined,
    p: twoSidedP(change.mean / Math.sqrt(change.variance), change.df),
    from: back(base),
    to: back(base + change.mean),
    why: undefined,
    isComparable,
  };
}

function unknownTest({ better }: FleetMetric, why: string, { isComparable }: How): Test {
  return {
    better,
    gain: undefined,
    interval: undefined,
    p: undefined,
    from: undefined,
    to: undefined,
    why,
    isComparable,
  };
}

/** Logarithms, so that hosts of different size count alike. If a value is 0, the values themselves. */
interface Scale {
  readonly isLog: boolean;
  readonly to: (value: number) => number;
  readonly from: (value: number) => number;
}

export function scaleOf(values: readonly number[]): Scale {
  const isLog = values.every((value) => value > 0);
  return isLog
    ? { isLog, to: Math.log, from: Math.exp }
    : { isLog, to: (x) => x, from: (x) => Math.max(0, x) };
}

export function hostValue(metric: FleetMetric, time: HostTime | undefined): number | undefined {
  return time === undefined ? undefined : valueIn(metric, time, time.windows);
}

export function tooFew(hosts: number): string | undefined {
  return hosts >= MIN_HOSTS
    ? undefined
    : `only ${hosts} host${hosts === 1 ? ' has' : 's have'} a value, and ${MIN_HOSTS} are needed`;
}
