import type { Span } from '../model.ts';
import { merged } from '../periods.ts';
import type { AssessOptions } from '../statistics/assess.ts';
import type {
  AssessedConfiguration,
  Assessment,
  Comparing,
  Estimate,
  HostChange,
} from '../statistics/assessment.ts';
import { judged, type Test } from '../statistics/change.ts';
import { differencesOf } from '../statistics/same-work.ts';
import { stayersOf } from './controls.ts';
import { changesOfHosts } from './host-changes.ts';
import {
  hostValue,
  MIN_HOSTS,
  type PairedTest,
  pairedTest,
  scaleOf,
  tooFew,
  unpairedTest,
} from './host-tests.ts';
import { intervalOf, type Mean, meanOf } from './mean.ts';
import { type FleetMetric, IN_FLIGHT, IOPS } from './metrics.ts';
import { type FleetComparison, type FleetHost, type HostTime, spanOfWindow } from './model.ts';
import { noteOnHosts } from './notes.ts';
import { worked, workOf } from './work.ts';

/** A relative difference of the load that makes metrics incomparable, if it is significant. */
const LOAD = 0.1;

const METHOD = [
  'A sample is a host: values are geometric means over the hosts, or means if a host has 0.',
  'The work is compared by I/Os per second and I/Os in flight only: the share of reads and the size of an I/O are not recorded.',
];

/** Compares the groups of hosts. It has no random numbers: the same input gives the same assessment. */
export function assessFleet(comparison: FleetComparison, { confidence }: AssessOptions): Assessment {
  const { groups, metrics, label } = comparison;
  const stayers = comparison.isOfVm ? [] : stayersOf(comparison);
  const against = (base: string | undefined, group: string): Against | undefined =>
    base === undefined || base === group ? undefined : compared(comparison, stayers, base, group, confidence);
  const configurations = groups.map((group, i): AssessedConfiguration => {
    const first = against(groups[0], group);
    const previous = i === 1 ? first : against(groups[i - 1], group);
    const own = comparison.hosts.filter(({ groups: each }) => each.has(group));
    const changes =
      first === undefined ? undefined : changesOfHosts(comparison, first, groups[0] ?? '', group, confidence);
    const groupValue = (metric: FleetMetric): number | undefined =>
      estimateOf(comparison, metric, group, confidence).value;
    return {
      name: group,
      vms: [],
      hosts: own.map(({ name }) => name),
      spans: spansOf(comparison, own, group),
      warmUp: comparison.warmUp,
      work: workOf(groupValue(IOPS), groupValue(IN_FLIGHT)),
      techniques: new Map(),
      notes: [
        ...(i === 0 ? comparison.notes : []),
        ...(first?.notes ?? []),
        ...(changes === undefined ? [] : noteOnHosts(changes, metrics)),
      ],
      estimates: new Map(
        metrics.map((metric) => [metric.id, estimateOf(comparison, metric, group, confidence)]),
      ),
      againstFirst: first?.comparing,
      againstPrevious: previous?.comparing,
      changesOfHosts: changes ?? new Map<string, readonly HostChange[]>(),
    };
  });
  const texts = metrics.map(({ valueOf: _, above: __, below: ___, ...text }) => text);
  return { subject: `Hosts by ${label}`, confidence, metrics: texts, configurations, method: METHOD };
}

function estimateOf(
  { hosts }: FleetComparison,
  metric: FleetMetric,
  group: string,
  confidence: number,
): Estimate {
  const values = hosts.flatMap((host) => hostValue(metric, host.groups.get(group)) ?? []);
  const known = { samples: values.length, effectiveSamples: values.length, line: [] };
  if (values.length === 0) return { ...known, value: undefined, interval: undefined, why: 'no samples' };
  const { to, from } = scaleOf(values);
  const mean = meanOf(values.map(to));
  const value = from(mean.mean);
  const why = tooFew(values.length);
  if (why !== undefined) return { ...known, value, interval: undefined, why };
  const [low, high] = intervalOf(mean, confidence);
  return { ...known, value, interval: [from(low), from(high)], why: undefined };
}

interface Against {
  readonly comparing: Comparing;
  /** Hosts that were in both groups. */
  readonly pairs: readonly FleetHost[];
  /** The change over time on the hosts that stayed in one group, by the id of the metric. */
  readonly trends: ReadonlyMap<string, Mean>;
  readonly notes: readonly string[];
}

/** One group against another: the hosts that were in both, if there are enough, else different hosts. */
function compared(
  comparison: FleetComparison,
  stayers: readonly HostTime[],
  base: string,
  group: string,
  confidence: number,
): Against {
  const { hosts, metrics, isOfVm } = comparison;
  const pairs = hosts.filter(({ groups }) => groups.has(base) && groups.has(group));
  const isPaired = pairs.length >= MIN_HOSTS;
  const controls = isPaired && stayers.length >= MIN_HOSTS ? stayers : [];
  const times = timesOf(pairs, base, group);
  const run = (metric: FleetMetric, isComparable = true): PairedTest => {
    const how = { confidence, isComparable };
    return isPaired
      ? pairedTest(metric, times, controls, how)
      : { test: unpairedTest(metric, hosts, base, group, how), trend: undefined };
  };
  const [ios, inFlight] = [run(IOPS).test, run(IN_FLIGHT).test];
  const differences = differencesOf(worked(ios.from, inFlight.from), worked(loadIn(ios), loadIn(inFlight)));
  const tests = metrics.map((metric) => run(metric, metric.isPerIo || differences.length === 0));
  const changes = judged(
    tests.map(({ test }) => test),
    confidence,
  );
  return {
    comparing: {
      base,
      differences,
      changes: new Map(metrics.flatMap(({ id }, i) => (changes[i] === undefined ? [] : [[id, changes[i]]]))),
    },
    pairs,
    trends: new Map(metrics.flatMap(({ id }, i) => (tests[i]?.trend ? [[id, tests[i].trend]] : []))),
    notes: [noteOnMethod(base, pairs.length, controls.length, isPaired, isOfVm)],
  };
}

function noteOnMethod(
  base: string,
  pairs: number,
  controls: number,
  isPaired: boolean,
  isOfVm: boolean,
): string {
  const against = `Against ${JSON.stringify(base)}`;
  if (!isPaired)
    return `${against}: these are different hosts${pairs === 0 ? '' : ` (${pairs} that were in both groups are left out)`}, and their hardware and VMs may be what differs.`;
  if (isOfVm)
    return `${against}: the VMs of ${pairs} hosts that have VMs of both groups. They are different VMs.`;
  return controls === 0
    ? `${against}: the change of ${pairs} hosts that were in both groups. Too few hosts stayed in one group to show which part of it all hosts had at that time.`
    : `${against}: the change of ${pairs} hosts that were in both groups, less that of ${controls} hosts that stayed in one, over the same times.`;
}

/** The group's work, with only the significant differences from the base. */
function loadIn({ gain = 0, interval = [0, 0], from, to }: Test): number | undefined {
  const [low, high] = interval;
  return Math.abs(gain) > LOAD && (low > 0 || high < 0) ? to : from;
}

function timesOf(
  pairs: readonly FleetHost[],
  base: string,
  group: string,
): (readonly [HostTime, HostTime])[] {
  return pairs.flatMap(({ groups }) => {
    const [before, after] = [groups.get(base), groups.get(group)];
    return before === undefined || after === undefined ? [] : [[before, after] as const];
  });
}

function spansOf({ windows }: FleetComparison, hosts: readonly FleetHost[], group: string): Span[] {
  const used = new Set(hosts.flatMap(({ groups }) => groups.get(group)?.windows ?? []));
  return merged([...used].map((i) => spanOfWindow(windows, i)));
}
