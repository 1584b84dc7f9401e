import { getOrInsert } from '../../../kernel/maps.ts';
import { ConfigError } from '../../config/load.ts';
import { matchesGlob } from '../../model/glob.ts';
import { TooMuchError } from '../../prometheus/errors.ts';
import type { Series } from '../../prometheus/series.ts';
import type { PrometheusServer } from '../../prometheus/server.ts';
import type { Span } from '../model.ts';
import { pieces } from '../pieces.ts';
import { type Batch, batchesOf, readEach, regexOfNames, regexOfPattern } from './batches.ts';
import type { Grouping } from './grouping.ts';
import { chosenGroups, emptyWindows, hostGroups, vmGroups } from './groups.ts';
import { type FleetMetric, IN_FLIGHT, IOPS } from './metrics.ts';
import type { FleetComparison, FleetHost, Windows } from './model.ts';
import {
  type FleetWindow,
  groupsQuery,
  hostsQuery,
  isFromHosts,
  type TermName,
  termQuery,
  vmsQuery,
} from './queries.ts';

/** Numbers of all hosts together. */
const MAX_NUMBERS = 6_000_000;
const MIN_WINDOWS = 48;
const MAX_WINDOWS = 720;
/** Recorded rates are of two minutes. */
const MIN_SECONDS = 300;
const MAX_HOSTS = 20_000;
/** Series of one name: one for each role. */
const SERIES_OF_HOST = 8;
/** Series of one name: one for each disk. */
const SERIES_OF_VM = 2;
/** Prometheus allows 11,000 points of a series. */
const POINTS = 10_000;
const FIRST_POINTS = 1;
const GROWTH = 4;

export interface FleetQuestion {
  readonly grouping: Grouping;
  /** Pattern of the label `instance`. */
  readonly host: string | undefined;
  readonly time: Span;
  readonly metrics: readonly FleetMetric[];
  readonly warmUp: number;
  readonly notes: readonly string[];
}

/**
 * Number of windows in one query, adjusted to the limits of the store. Each query costs a search for all the series.
 */
interface AtOnce {
  points: number;
  most: number;
}

/** The store refuses the next query of this size as well, so both numbers change for good. */
interface Readable {
  batches: readonly Batch[];
  readonly atOnce: AtOnce;
}

type Server = Pick<PrometheusServer, 'range' | 'labelSets'>;
type Labels = Series['labels'];

/** Reads the numbers of the hosts in each group. @throws ConfigError if the question cannot be answered */
export async function readFleet(
  server: Server,
  name: string,
  question: FleetQuestion,
  onProgress: (share: number) => void,
): Promise<FleetComparison> {
  const { grouping, host, time, metrics, warmUp, notes } = question;
  const instances = host === undefined ? undefined : regexOfPattern(host);
  const sets = await server.labelSets(hostsQuery(instances), time.start, time.end);
  const found = sets.filter((labels) => host === undefined || matchesGlob(host, labels['instance'] ?? ''));
  const labelsOf = new Map(found.map((labels) => [keyOf(labels), labels]));
  if (labelsOf.size === 0) throw new ConfigError(await whyNoHost(server, name, host, time));
  if (labelsOf.size > MAX_HOSTS)
    throw new ConfigError(
      `${labelsOf.size} hosts match: give a --host that matches at most ${MAX_HOSTS.toLocaleString('en')}`,
    );
  const terms = [...new Set([...metrics, IOPS, IN_FLIGHT].flatMap(({ above, below }) => [above, below]))];
  const windows = windowsOf(time, labelsOf.size * terms.length);
  const jobs = terms.length + 2;
  const read = async (
    of: Readable,
    queryOf: (window: FleetWindow) => string,
    take: (key: string, i: number, value: number, labels: Labels) => void,
  ): Promise<void> => {
    of.batches = await readEach(of.batches, (batch) => {
      const query = queryOf(windowFor(batch, instances, windows.seconds));
      return eachPoint(server, query, windows, of.atOnce, (labels, i, value) => {
        const key = keyOf(labels);
        if (labelsOf.has(key)) take(key, i, value, labels);
      });
    });
  };
  const readable = (seriesOf: (key: string) => number): Readable => ({
    batches: batchesOf(
      [...labelsOf].map(([key, { cluster = '', instance = '' }]) => ({
        cluster,
        instance,
        series: seriesOf(key),
      })),
    ),
    atOnce: { points: FIRST_POINTS, most: POINTS },
  });
  const vms = new Map<string, number>();
  const seen = new Map<string, string[][]>();
  const numbers = new Map<string, Map<string, Map<TermName, Float64Array>>>();
  const ofHosts = readable(() => SERIES_OF_HOST);
  await read(ofHosts, vmsQuery, (key, _, value) => {
    vms.set(key, Math.max(vms.get(key) ?? 0, value));
  });
  onProgress(1 / jobs);
  if (!grouping.isOfVm) {
    await read(
      ofHosts,
      (window) => groupsQuery(grouping, window),
      (key, i, _, labels) => {
        const values = getOrInsert(seen, key, () => emptyWindows(windows))[i];
        const value = labels[grouping.label] ?? '';
        if (values?.includes(value) === false) values.push(value);
      },
    );
  }
  onProgress(2 / jobs);
  const ofVms = readable((key) => SERIES_OF_VM * (vms.get(key) ?? 0));
  for (const [done, term] of terms.entries()) {
    await read(
      isFromHosts(term, grouping) ? ofHosts : ofVms,
      (window) => termQuery(term, grouping, window),
      (key, i, value, labels) => {
        const ofHost = getOrInsert(numbers, key, () => new Map());
        const group = grouping.isOfVm ? (labels[grouping.label] ?? '') : '';
        const ofGroup = getOrInsert(ofHost, group, () => new Map());
        const list = getOrInsert(ofGroup, term, () => new Float64Array(windows.count).fill(Number.NaN));
        list[i] = value;
      },
    );
    onProgress((done + 3) / jobs);
  }
  const hosts = [...labelsOf].map(([key, labels]): FleetHost => {
    const own = numbers.get(key) ?? new Map<string, Map<TermName, Float64Array>>();
    const groups = grouping.isOfVm
      ? vmGroups(own, windows, warmUp)
      : hostGroups(seen.get(key) ?? [], own.get('') ?? new Map(), windows, warmUp);
    return { name: displayName(labels), groups };
  });
  return {
    label: grouping.name,
    isOfVm: grouping.isOfVm,
    metrics,
    hosts,
    windows,
    warmUp,
    ...chosenGroups(hosts, grouping, found, notes),
  };
}

function windowFor(
  { cluster, hosts, isPart }: Batch,
  instances: string | undefined,
  seconds: number,
): FleetWindow {
  const names = isPart ? regexOfNames(hosts.map(({ instance }) => instance)) : instances;
  return { instances: names, cluster, seconds };
}

async function whyNoHost(
  server: Server,
  name: string,
  host: string | undefined,
  { start, end }: Span,
): Promise<string> {
  const any = host === undefined ? [] : await server.labelSets(hostsQuery(undefined), start, end);
  return any.length > 0
    ? `--host: no host ${JSON.stringify(host)} in this time: there are ${any.length} others`
    : `${name} has no samples of host:kvm_vms:count in this time: check that the recording rules are evaluated and sent (docs/fleet.md), and give another time`;
}

function windowsOf({ start, end }: Span, numbers: number): Windows {
  const most = Math.min(MAX_WINDOWS, Math.max(MIN_WINDOWS, Math.floor(MAX_NUMBERS / numbers)));
  const seconds = Math.max(MIN_SECONDS, Math.ceil((end - start) / most / 60) * 60);
  const count = Math.floor((end - start) / seconds);
  if (count < 1)
    throw new ConfigError(`the time is shorter than a window of ${seconds} s: give a longer one`);
  return { start: end - count * seconds, seconds, count };
}

/** The value of each window, which Prometheus evaluates at its end. */
async function eachPoint(
  server: Server,
  query: string,
  { start, seconds, count }: Windows,
  atOnce: AtOnce,
  take: (labels: Labels, i: number, value: number) => void,
): Promise<void> {
  const time = { start: start + seconds, end: start + count * seconds };
  const grid = { step: seconds, most: seconds * atOnce.most };
  const read = async (piece: Span): Promise<Series[]> => {
    const points = (piece.end - piece.start) / seconds;
    try {
      const found = await server.range(query, piece.start, piece.end, seconds);
      atOnce.points = Math.max(atOnce.points, points);
      return found;
    } catch (error) {
      if (error instanceof TooMuchError) atOnce.most = Math.max(1, Math.floor(points / 2));
      throw error;
    }
  };
  const first = Math.min(atOnce.most, atOnce.points * GROWTH) * seconds;
  for await (const piece of pieces(time, first, read, grid))
    for (const { labels, samples } of piece)
      for (const [at, value] of samples) take(labels, Math.round((at - start) / seconds) - 1, value);
}

function keyOf({ cluster = '', job = '', instance = '' }: Labels): string {
  return JSON.stringify([cluster, job, instance]);
}

function displayName({ cluster = '', instance = '' }: Labels): string {
  return cluster === '' ? instance : `${cluster}/${instance}`;
}
