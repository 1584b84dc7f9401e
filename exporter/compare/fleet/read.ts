import { getOrInsert } from '../../../kernel/maps.ts';
import { ConfigError } from '../../config/load.ts';
import { matchesGlob } from '../../model/glob.ts';
import type { Series } from '../../prometheus/series.ts';
import type { PrometheusServer } from '../../prometheus/server.ts';
import type { Span } from '../model.ts';
import { pieces } from '../pieces.ts';
import { type Grouping, JOINED_LABELS } from './grouping.ts';
import { type FleetMetric, IN_FLIGHT, IOPS } from './metrics.ts';
import type { FleetComparison, FleetHost, HostTime, Windows } from './model.ts';
import { type FleetWindow, groupsQuery, hostsQuery, type TermName, termQuery } from './queries.ts';
import { windowsByGroup } from './times.ts';

/** Numbers of all hosts together. */
const MAX_NUMBERS = 6_000_000;
const MIN_WINDOWS = 48;
const MAX_WINDOWS = 720;
/** Recorded rates are of two minutes. */
const MIN_SECONDS = 300;
const MAX_HOSTS = 20_000;
/** Stores limit the series of a query, VictoriaMetrics to 300,000: of more hosts each cluster is read alone. */
const TOGETHER = 1000;
const MAX_GROUPS = 12;
/** Prometheus allows 11,000 points of a series. */
const POINTS = 10_000;
const FIRST_POINTS = 4;

export interface FleetQuestion {
  readonly grouping: Grouping;
  /** Pattern of the label `instance`. */
  readonly host: string | undefined;
  readonly time: Span;
  readonly metrics: readonly FleetMetric[];
  readonly warmUp: number;
  readonly notes: readonly string[];
}

type Server = Pick<PrometheusServer, 'range' | 'labelSets'>;
type Labels = Series['labels'];

/** Reads what the hosts of each group did. @throws ConfigError if the question cannot be answered */
export async function readFleet(
  server: Server,
  name: string,
  question: FleetQuestion,
  onProgress: (share: number) => void,
): Promise<FleetComparison> {
  const { grouping, host, time, metrics, warmUp, notes } = question;
  const instances = host === undefined ? undefined : regexOf(host);
  const sets = await server.labelSets(hostsQuery(instances), time.start, time.end);
  const found = sets.filter((labels) => host === undefined || matchesGlob(host, labels['instance'] ?? ''));
  const nameOf = new Map(found.map((labels) => [keyOf(labels), displayName(labels)]));
  if (nameOf.size === 0) throw new ConfigError(await whyNoHost(server, name, host, time));
  if (nameOf.size > MAX_HOSTS)
    throw new ConfigError(
      `${nameOf.size} hosts match: give a --host that matches at most ${MAX_HOSTS.toLocaleString('en')}`,
    );
  const terms = [...new Set([...metrics, IOPS, IN_FLIGHT].flatMap(({ above, below }) => [above, below]))];
  const windows = windowsOf(time, nameOf.size * terms.length);
  const clusters =
    nameOf.size > TOGETHER ? [...new Set(found.map(({ cluster = '' }) => cluster))] : [undefined];
  const parts = clusters.map((cluster): FleetWindow => ({ instances, cluster, seconds: windows.seconds }));
  const jobs = terms.length + 1;
  const read = async (
    queryOf: (part: FleetWindow) => string,
    take: (labels: Labels, i: number, value: number) => void,
  ): Promise<void> => {
    for (const part of parts)
      await eachPoint(server, queryOf(part), windows, (labels, i, value) => {
        if (nameOf.has(keyOf(labels))) take(labels, i, value);
      });
  };
  const seen = new Map<string, string[][]>();
  const numbers = new Map<string, Map<string, Map<TermName, Float64Array>>>();
  if (!grouping.isOfVm) {
    await read(
      (part) => groupsQuery(grouping, part),
      (labels, i) => {
        const ofHost = getOrInsert(seen, keyOf(labels), () => emptyWindows(windows));
        ofHost[i]?.push(labels[grouping.label] ?? '');
      },
    );
  }
  onProgress(1 / jobs);
  for (const [done, term] of terms.entries()) {
    await read(
      (part) => termQuery(term, grouping, part),
      (labels, i, value) => {
        const ofHost = getOrInsert(numbers, keyOf(labels), () => new Map());
        const ofGroup = getOrInsert(
          ofHost,
          grouping.isOfVm ? (labels[grouping.label] ?? '') : '',
          () => new Map(),
        );
        const list = getOrInsert(ofGroup, term, () => new Float64Array(windows.count).fill(Number.NaN));
        list[i] = value;
      },
    );
    onProgress((done + 2) / jobs);
  }
  const hosts = [...nameOf].map(([key, title]): FleetHost => {
    const own = numbers.get(key) ?? new Map<string, Map<TermName, Float64Array>>();
    const groups = grouping.isOfVm
      ? vmGroups(own, windows, warmUp)
      : hostGroups(seen.get(key) ?? [], own.get('') ?? new Map(), windows, warmUp);
    return { name: title, groups };
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

function hostGroups(
  seen: readonly (readonly string[])[],
  numbers: ReadonlyMap<TermName, Float64Array>,
  { seconds }: Windows,
  warmUp: number,
): Map<string, HostTime> {
  return new Map(
    [...windowsByGroup(seen, seconds, warmUp)].map(([group, list]) => [group, { windows: list, numbers }]),
  );
}

/** A host has VMs of a group where it has a number of them. */
function vmGroups(
  byGroup: ReadonlyMap<string, ReadonlyMap<TermName, Float64Array>>,
  windows: Windows,
  warmUp: number,
): Map<string, HostTime> {
  return new Map(
    [...byGroup].flatMap(([group, numbers]) => {
      if (group === '') return [];
      const has = (i: number): boolean => [...numbers.values()].some((list) => !Number.isNaN(list[i]));
      const seen = emptyWindows(windows).map((_, i) => [has(i) ? group : ' ']);
      const list = windowsByGroup(seen, windows.seconds, warmUp).get(group);
      return list === undefined ? [] : [[group, { windows: list, numbers }] as const];
    }),
  );
}

/** The groups in order of their begin, then of their names; those of most hosts if there are many. */
function chosenGroups(
  hosts: readonly FleetHost[],
  { name, metric }: Grouping,
  labels: readonly Labels[],
  notes: readonly string[],
): Pick<FleetComparison, 'groups' | 'notes'> {
  const begin = new Map<string, number>();
  const size = new Map<string, number>();
  for (const { groups } of hosts)
    for (const [group, { windows }] of groups) {
      begin.set(group, Math.min(begin.get(group) ?? Number.POSITIVE_INFINITY, windows[0] ?? 0));
      size.set(group, (size.get(group) ?? 0) + 1);
    }
  const all = [...size.keys()].sort((a, b) => (size.get(b) ?? 0) - (size.get(a) ?? 0));
  const kept = all.slice(0, MAX_GROUPS);
  if (all.length === 0) throw new ConfigError(whyNoGroup(name, metric, labels));
  if (all.length === 1)
    throw new ConfigError(
      `--by label=${name}: there is one group in this time, ${JSON.stringify(all[0])} with ${size.get(all[0] ?? '')} hosts: give a longer --last, or another label`,
    );
  const { compare } = new Intl.Collator('en', { numeric: true });
  const without = hosts.filter(({ groups }) => groups.size === 0).length;
  return {
    groups: kept.sort((a, b) => (begin.get(a) ?? 0) - (begin.get(b) ?? 0) || compare(a, b)),
    notes: [
      ...notes,
      ...(all.length > kept.length
        ? [`Left out: ${all.length - kept.length} groups with fewer hosts than these.`]
        : []),
      ...(without === 0 ? [] : [`${without} hosts are in no group: their ${name} is unknown.`]),
    ],
  };
}

function whyNoGroup(name: string, metric: string, sets: readonly Labels[]): string {
  const own = new Set(sets.flatMap((labels) => Object.keys(labels)));
  const known = [...own]
    .filter((label) => label !== '__name__')
    .concat(JOINED_LABELS)
    .sort();
  return JOINED_LABELS.includes(name)
    ? `--by label=${name}: no samples of ${metric} for these hosts in this time: exporters since version 0.1.0 have it, and the agent must send it (docs/fleet.md)`
    : `--by label=${name}: no host has the label ${name}: there are ${known.join(', ')}`;
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
  take: (labels: Labels, i: number, value: number) => void,
): Promise<void> {
  const time = { start: start + seconds, end: start + count * seconds };
  const grid = { step: seconds, most: seconds * POINTS };
  const read = (piece: Span): Promise<Series[]> => server.range(query, piece.start, piece.end, seconds);
  for await (const piece of pieces(time, FIRST_POINTS * seconds, read, grid))
    for (const { labels, samples } of piece)
      for (const [at, value] of samples) take(labels, Math.round((at - start) / seconds) - 1, value);
}

function emptyWindows({ count }: Windows): string[][] {
  return Array.from({ length: count }, () => []);
}

function keyOf({ cluster = '', job = '', instance = '' }: Labels): string {
  return JSON.stringify([cluster, job, instance]);
}

function displayName({ cluster = '', instance = '' }: Labels): string {
  return cluster === '' ? instance : `${cluster}/${instance}`;
}

/** RE2 of a pattern with `*` and `?`. */
function regexOf(glob: string): string {
  const escaped = glob.replace(/[\\^$.+()[\]{}|]/g, '\\$&');
  return escaped.replaceAll('*', '.*').replaceAll('?', '.');
}
