import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { recordingRules } from '../../../alerts/recording.ts';
import { assessFleet } from '../../../exporter/compare/fleet/assess.ts';
import { regexOfNames } from '../../../exporter/compare/fleet/batches.ts';
import { groupingOf } from '../../../exporter/compare/fleet/grouping.ts';
import { FLEET_METRICS } from '../../../exporter/compare/fleet/metrics.ts';
import { groupsQuery, termQuery } from '../../../exporter/compare/fleet/queries.ts';
import { readFleet } from '../../../exporter/compare/fleet/read.ts';
import { windowsByGroup } from '../../../exporter/compare/fleet/times.ts';
import { exitCodeOf, judgeGates, parseGate } from '../../../exporter/compare/gate.ts';
import { renderHtml } from '../../../exporter/compare/report/html.ts';
import { renderJson } from '../../../exporter/compare/report/json.ts';
import { renderMarkdown } from '../../../exporter/compare/report/markdown.ts';
import { renderTable } from '../../../exporter/compare/report/table.ts';
import type { Assessment, Change } from '../../../exporter/compare/statistics/assessment.ts';
import { TooMuchError } from '../../../exporter/prometheus/errors.ts';
import type { Series } from '../../../exporter/prometheus/series.ts';
import { recordedAllowList } from '../../../scripts/fleet.ts';
import {
  type FleetOptions,
  fleetComparison,
  NEW,
  OLD,
  simulatedFleet,
} from '../../../testing/simulated-fleet.ts';

const assessed = (options: FleetOptions): Assessment =>
  assessFleet(fleetComparison(simulatedFleet(options), options), { confidence: 0.95 });

function changeOf({ configurations }: Assessment, metric = 'latency_mean'): Change {
  const change = configurations[1]?.againstFirst?.changes.get(metric);
  assert(change !== undefined);
  return change;
}

interface Store {
  readonly hosts: number;
  readonly vms: number;
  /** Hosts of one query beyond which the store refuses it; 0 for none. */
  readonly most?: number;
  readonly cluster?: string;
}

/** The queries over hosts with these VMs. The store knows only their names, kernels and number of VMs. */
async function queriesOf({ hosts, vms, most = hosts, cluster: one }: Store): Promise<string[]> {
  const sets = simulatedFleet({ seed: 1, hosts, updated: hosts, windows: 12 }).map(
    ({ cluster, instance }) => ({ cluster: one ?? cluster, job: 'kvm-telemetry', instance }),
  );
  const asked: string[] = [];
  const server = {
    labelSets: async () => sets,
    range: async (query: string, start: number, end: number, step: number) => {
      const [, cluster] = /cluster="(.*?)"/.exec(query) ?? [];
      const [, instances = '.*'] = /instance=~"(.*?)"/.exec(query) ?? [];
      const named = new RegExp(`^(?:${instances.replaceAll('\\\\', '\\')})$`);
      const own = sets.filter(
        (labels) => (cluster === undefined || cluster === labels.cluster) && named.test(labels.instance),
      );
      if (own.length > most) throw new TooMuchError('status 422');
      asked.push(query);
      const times = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, i) => start + i * step);
      const seriesOf = (value: number, more: object): Series[] =>
        own.map((labels) => ({ labels: { ...labels, ...more }, samples: times.map((at) => [at, value]) }));
      if (query.includes('kvm_host_info')) return seriesOf(1, { kernel: OLD }).map(updatedHalf);
      return query.startsWith('max by (cluster, job, instance) (avg_over_time(host:kvm_vms:count')
        ? seriesOf(vms, {})
        : [];
    },
  };
  const question = {
    grouping: groupingOf('kernel'),
    host: undefined,
    time: { start: 0, end: 3600 },
    metrics: FLEET_METRICS,
    warmUp: 60,
    notes: [],
  };
  const { hosts: read } = await readFleet(server, 'store', question, () => undefined);
  assert.equal(read.filter(({ groups }) => groups.size === 1).length, hosts);
  return [...new Set(asked)];
}

const updatedHalf = (series: Series, i: number): Series =>
  i % 2 === 0 ? series : { ...series, labels: { ...series.labels, kernel: NEW } };

/** The hosts that queries over VMs read, by query. */
const ofVms = (queries: readonly string[]): string[] =>
  queries.filter((query) => query.includes('vm:kvm_halt_poll_fail_seconds:rate'));

test('hosts with few series are read together, and whole clusters if those are few', async () => {
  const few = await queriesOf({ hosts: 1000, vms: 50 });
  for (const query of few) assert.doesNotMatch(query, /cluster=|instance=/);
  const clusters = ofVms(await queriesOf({ hosts: 2000, vms: 50 }));
  assert.deepEqual(clusters.map((query) => /cluster="(\w+)"/.exec(query)?.[1]).sort(), ['east', 'west']);
  for (const query of clusters) assert.doesNotMatch(query, /instance=/);
});

test('a cluster of many VMs is read in batches of hosts, below the limits of VictoriaMetrics', async () => {
  const queries = await queriesOf({ hosts: 10_000, vms: 50, cluster: 'east' });
  const batches = ofVms(queries);
  assert(batches.length >= 10 && batches.length <= 20, `${batches.length}`);
  for (const query of queries) assert(Buffer.byteLength(query) < 16_384, `${query.length}`);
  for (const query of batches)
    assert.equal(query.match(/\[300s\]/g)?.length, query.match(/cluster="east"/g)?.length, query);
});

test('a refused query is repeated for each half of the hosts; for one host it is an error', async () => {
  const { length } = ofVms(await queriesOf({ hosts: 100, vms: 10, most: 20 }));
  assert(length >= 5 && length <= 8, `${length}`);
  await assert.rejects(queriesOf({ hosts: 10, vms: 10, most: 0 }), TooMuchError);
});

test('the expression of names matches each of them and no other', () => {
  const name = fc.string({
    unit: fc.constantFrom('a', 'b', '.', '1', '*', '(', '\\', '-', 'é', '😀'),
    maxLength: 6,
  });
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 12 }), name, (names, other) => {
      const matches = new RegExp(`^(?:${regexOfNames(names)})$`, 'u');
      for (const each of names) assert.match(each, matches);
      assert.equal(matches.test(other), names.includes(other));
    }),
  );
  assert.equal(regexOfNames(['kvm1.east:9954', 'kvm12.east:9954']), 'kvm1(?:|2)\\.east:9954');
});

const SEEDS = Array.from({ length: 150 }, (_, i) => i + 1);
/** Three standard deviations above 5% of 150. */
const MOST_FALSE = 15;

/** How many of the seeds have an interval without 0. */
function claims(options: Omit<FleetOptions, 'seed'>): number {
  const found = SEEDS.filter((seed) => {
    const { interval = [Number.NaN, Number.NaN] } = changeOf(assessed({ seed, ...options }));
    assert(interval.every(Number.isFinite));
    return interval[0] > 0 || interval[1] < 0;
  });
  return found.length;
}

test('a kernel without effect is rarely reported as a change: the same hosts before and after', () => {
  const wrong = claims({ hosts: 20, updated: 10, windows: 40 });
  assert(wrong <= MOST_FALSE, `${wrong}`);
});

test('nor if the latency of all hosts rises at the time of the update, because hosts that stayed show the rise', () => {
  const wrong = claims({ hosts: 20, updated: 10, windows: 40, shift: 1.3 });
  assert(wrong <= MOST_FALSE, `${wrong}`);
});

test('nor between different hosts, whose hardware and load differ', () => {
  const wrong = claims({ hosts: 20, updated: 10, windows: 20, fromBegin: true });
  assert(wrong <= MOST_FALSE, `${wrong}`);
});

test('nor for a single host: p values are corrected for the number of hosts, and the change of hosts that stayed is subtracted', () => {
  let wrong = 0;
  for (const seed of SEEDS.slice(0, 30)) {
    const [, after] = assessed({ seed, hosts: 20, updated: 10, windows: 144, shift: 1.3 }).configurations;
    const changes = after?.changesOfHosts?.get('latency_mean') ?? [];
    assert.equal(changes.length, 10);
    if (changes.some(({ change: { verdict } }) => verdict === 'better' || verdict === 'worse')) wrong++;
  }
  // Three standard deviations above 5% of 30.
  assert(wrong <= 5, `${wrong}`);
});

/** Every second updated host is 8% slower. */
const SLOWER = { seed: 3, hosts: 60, updated: 40, slow: 20, factor: 1.08 };

test('the hosts that a kernel made 8% slower are named, and the mean of all is half of it', () => {
  const assessment = assessed(SLOWER);
  const change = changeOf(assessment);
  assert.equal(change.verdict, 'worse');
  const [low, high] = change.interval ?? [0, 0];
  assert(low < 0.04 && 0.04 < high && high - low < 0.04, `${low} to ${high}`);
  const [, after] = assessment.configurations;
  const worse = (after?.changesOfHosts?.get('latency_mean') ?? []).filter(
    ({ change: { verdict } }) => verdict === 'worse',
  );
  const slow = new Set(
    simulatedFleet(SLOWER)
      .filter(({ isSlow }) => isSlow)
      .map(({ cluster, instance }) => `${cluster}/${instance}`),
  );
  assert(worse.length > 10, `${worse.length}`);
  for (const { host } of worse) assert(slow.has(host), host);
  const note = after?.notes.find((text) => text.startsWith('Mean latency'));
  assert.match(
    note ?? '',
    /^Mean latency: \d+ of 40 hosts are worse than before, 0 better, 2 cannot be said\. Most: \w+\/kvm/,
  );
});

test('a change over time on all hosts is not due to the kernel, and without hosts that stayed the report says so', () => {
  const shifted = changeOf(assessed({ ...SLOWER, shift: 1.3 }));
  const [low, high] = shifted.interval ?? [0, 0];
  assert(low < 0.04 && 0.04 < high, `${low} to ${high}`);
  const without = assessed({ ...SLOWER, hosts: 40, shift: 1.3 });
  assert((changeOf(without).gain ?? 0) > 0.3);
  assert.match(without.configurations[1]?.notes.join() ?? '', /Too few hosts stayed in one group/);
});

test('thresholds: 1 if the hosts are slower, 0 if not, 3 if there are too few', () => {
  const code = (text: string, options: FleetOptions): number =>
    exitCodeOf(judgeGates([parseGate(text)], assessed(options)));
  assert.equal(code('latency_mean>+1%', SLOWER), 1);
  assert.equal(code('latency_mean>+10%', SLOWER), 0);
  assert.equal(code('latency_mean>+1%', { ...SLOWER, hosts: 4, updated: 4 }), 3);
});

test('with fewer than five hosts the result is "cannot say"', () => {
  for (const fromBegin of [false, true]) {
    const change = changeOf(assessed({ seed: 1, hosts: 8, updated: 4, fromBegin }));
    assert.equal(change.verdict, 'unknown');
    const numbers = fromBegin ? '4 .*, 4 .*, and 0' : '0 .*, 4 .*, and 4';
    assert.match(change.why ?? '', new RegExp(`^${numbers} were in both: 5 are needed$`));
  }
});

test('the report states that the groups have different hosts', () => {
  const { configurations } = assessed({ seed: 1, hosts: 20, updated: 10, fromBegin: true });
  assert.match(configurations[1]?.notes.join() ?? '', /these are different hosts, and their hardware/);
  assert.equal(changeOf(assessed({ seed: 1, hosts: 20, updated: 10, fromBegin: true })).verdict, 'same');
});

test('a load that changes with the kernel makes the latency incomparable, and not the CPU of an I/O', () => {
  const fleet = simulatedFleet({ seed: 1, hosts: 20, updated: 20 });
  const heavier = fleet.map((host) => ({
    ...host,
    ios: host.ios.map((value, i) => (host.kernels[i] === NEW ? 2 * value : value)),
    cpu: host.cpu.map((value, i) => (host.kernels[i] === NEW ? 2 * value : value)),
  }));
  const assessment = assessFleet(fleetComparison(heavier), { confidence: 0.95 });
  assert.equal(changeOf(assessment).isComparable, false);
  assert.equal(changeOf(assessment, 'cpu_per_1000_ios').isComparable, true);
  assert.equal(changeOf(assessment, 'cpu_per_1000_ios').verdict, 'same');
});

test('hosts with a value of 0 count by differences, and a rise from 0 on all hosts is detected', () => {
  const fleet = simulatedFleet({ seed: 1, hosts: 20, updated: 20 });
  const of = (value: (isNew: boolean, h: number) => number): Change => {
    const hosts = fleet.map((host, h) => ({
      ...host,
      latency: host.latency.map((_, i) => value(host.kernels[i] === NEW, h)),
    }));
    return changeOf(assessFleet(fleetComparison(hosts), { confidence: 0.95 }));
  };
  assert.equal(of(() => 0).verdict, 'same');
  const fromZero = of((isNew, h) => (isNew ? 1e-3 + h * 1e-5 : 0));
  assert.equal(fromZero.verdict, 'worse');
  assert.equal(fromZero.gain, undefined);
  assert.equal(of((isNew, h) => (h === 0 ? 0 : isNew ? 2e-3 + h * 1e-5 : 1e-3 + h * 1e-5)).verdict, 'worse');
});

test('the report names hosts as samples in every format', () => {
  const assessment = assessed(SLOWER);
  for (const text of [renderTable(assessment), renderMarkdown(assessment), renderHtml(assessment)]) {
    assert.match(text, /A sample is a host/);
    assert.match(text, /40 hosts that were in both/);
    assert.doesNotMatch(text, /NaN|undefined|0 VMs|Changed with it/);
  }
  const { configurations } = JSON.parse(renderJson(assessment)) as {
    configurations: { hostsAgainstFirst: Record<string, { host: string; gain: number }[]> }[];
  };
  assert.equal(configurations[1]?.hostsAgainstFirst['latency_mean']?.length, 40);
});

test('windows with two values, and those within the warm-up after a change, belong to no group', () => {
  const seen = [['a'], ['a'], ['a', 'b'], ['b'], ['b'], [], ['b'], [''], ['c'], ['c']];
  assert.deepEqual(
    [...windowsByGroup(seen, 300, 60)],
    [
      ['a', [0, 1]],
      ['b', [4, 6]],
      ['c', [9]],
    ],
  );
});

test('no window counts for two groups, or for a value that was not seen in it alone', () => {
  const value = fc.constantFrom('a', 'b', 'c', '');
  fc.assert(
    fc.property(
      fc.array(fc.uniqueArray(value, { maxLength: 2 })),
      fc.integer({ min: 60, max: 3600 }),
      fc.integer({ min: 0, max: 600 }),
      (seen, seconds, warmUp) => {
        const used = new Set<number>();
        for (const [group, windows] of windowsByGroup(seen, seconds, warmUp))
          for (const i of windows) {
            assert.deepEqual(seen[i], [group]);
            assert(!used.has(i));
            used.add(i);
          }
      },
    ),
  );
});

test('every series that the queries select is recorded or sent, and leaves the host', () => {
  const allowed = recordedAllowList();
  const window = { instances: undefined, seconds: 300 };
  const terms = FLEET_METRICS.flatMap(({ above, below }) => [above, below]);
  const queries = ['kernel', 'cpu', 'qemu_version', 'exporter_version', 'rack']
    .map(groupingOf)
    .flatMap((grouping) => [
      groupsQuery(grouping, window),
      ...terms.map((term) => termQuery(term, grouping, window)),
    ]);
  const names = new Set(queries.flatMap((query) => query.match(/[\w:]+(?=[{[])/g) ?? []));
  assert(names.size > 15, [...names].join());
  for (const name of names) {
    assert(allowed.includes(name), name);
    assert(name.startsWith('kvm_') || Object.hasOwn(recordingRules, name), name);
  }
});
