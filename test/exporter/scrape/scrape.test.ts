import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sampler } from '../../../exporter/assessment/sampler.ts';
import type { Collector } from '../../../exporter/collectors/collector.ts';
import { Inventory } from '../../../exporter/inventory/inventory.ts';
import { NO_KERNEL, NOTHING } from '../../../exporter/model/remote.ts';
import { NOT_TRACED } from '../../../exporter/model/trace-reading.ts';
import { ProblemLog } from '../../../exporter/scrape/problem-log.ts';
import { Scrape, type ScrapeResult } from '../../../exporter/scrape/scrape.ts';
import { SeriesLog } from '../../../exporter/scrape/series-log.ts';
import { SourceError } from '../../../probes/errors.ts';
import { hostTree } from '../../../testing/host-tree.ts';

interface Started {
  readonly scrape: Scrape;
  readonly log: string[];
  /** Passes of the inventory: whether each was a full one. */
  readonly passes: readonly boolean[];
  coalesced(): number;
}

/** A scrape of an empty host with these collectors in place of the real ones. */
function start(
  context: TestContext,
  collectors: () => readonly Collector[],
  maxSeries = 1000,
  patientMs = 150,
): Started {
  const { host } = hostTree(context);
  const inventory = new Inventory(host);
  const refresh = inventory.refresh.bind(inventory);
  const passes: boolean[] = [];
  inventory.refresh = (full) => {
    passes.push(full);
    return refresh(full);
  };
  const log: string[] = [];
  const note = (fields: { collector: string; reason?: string }, message: string): void =>
    void log.push(`${message} ${fields.reason ?? ''}`.trim());
  let coalesced = 0;
  const scrape = new Scrape(
    {
      host,
      inventory,
      sampler: new Sampler(host, { maxCpus: 1, intervalMs: 1000 }),
      get collectors() {
        return collectors();
      },
      readsKernel: () => false,
      queryRemotes: () =>
        Promise.resolve({
          kernel: NO_KERNEL,
          qmp: Promise.resolve(NOTHING),
          libvirt: Promise.resolve(NOTHING),
          versionOf: () => undefined,
        }),
      problemLog: new ProblemLog({ info: note, warn: note } as unknown as ConstructorParameters<
        typeof ProblemLog
      >[0]),
      seriesLog: new SeriesLog({ warn: note } as unknown as ConstructorParameters<typeof SeriesLog>[0]),
      patientMs,
      readTrace: () => NOT_TRACED,
      affinity: () => ({ of: () => undefined, problems: [] }),
      stages: { of: () => undefined, deviceAt: () => undefined },
      build: { version: '1', revision: 'r', simulated: false },
      onCoalesced: () => coalesced++,
    },
    {
      disabled: new Set(),
      maxSeries,
      exports: () => true,
      collectors: {
        allVcpuStatistics: false,
        vcpuReasons: false,
        metadataLabels: new Set(),
        blockExclude: /^$/,
      },
    },
  );
  return { scrape, log, passes, coalesced: () => coalesced };
}

/** Gives as many series as asked for. */
function giving(name: string, series = 1): Collector {
  return {
    name,
    collect({ families }) {
      for (let i = 0; i < series; i++) {
        families.add('kvm_vm_vcpus', { vm: `${name}-${i}` }, 1);
      }
    },
  };
}

const throwing: Collector = {
  name: 'throwing',
  collect() {
    throw new TypeError('not a function');
  },
};

/** Takes its time and succeeds. */
function slowly(name: string, ms: number): Collector {
  return { name, collect: () => sleep(ms) };
}

const hanging: Collector = { name: 'hanging', collect: () => new Promise(() => undefined) };

function value(result: ScrapeResult, name: string, label = ''): number | undefined {
  const family = result.families.find((each) => each.name === name);
  const index = family?.labels.findIndex((labels) => (label === '' ? labels === '' : labels.includes(label)));
  return family?.values[index ?? -1];
}

const success = (result: ScrapeResult, collector: string): number | undefined =>
  value(result, 'kvm_telemetry_collector_success', `collector="${collector}"`);
const seriesOf = (result: ScrapeResult, name: string): number =>
  result.families.find((each) => each.name === 'kvm_vm_vcpus')?.labels.filter((l) => l.includes(`"${name}-`))
    .length ?? 0;

test('overlapping scrapes share one collection; the next scrape starts a new one', async (context) => {
  let collections = 0;
  const counting: Collector = {
    name: 'counting',
    async collect() {
      collections++;
      await sleep(20);
    },
  };
  const { scrape, coalesced } = start(context, () => [counting]);
  const results = await Promise.all(Array.from({ length: 10 }, () => scrape.collect(1000)));
  assert.equal(new Set(results).size, 1);
  assert.deepEqual([collections, coalesced()], [1, 9]);
  assert.notEqual(await scrape.collect(1000), results[0]);
  assert.deepEqual([collections, coalesced()], [2, 9]);
});

test('a collector that throws affects only itself', async (context) => {
  const { scrape, log } = start(context, () => [giving('before'), throwing, giving('after')]);
  const result = await scrape.collect(1000);
  assert.deepEqual(
    ['before', 'throwing', 'after'].map((collector) => success(result, collector)),
    [1, 0, 1],
  );
  assert.equal(seriesOf(result, 'after'), 1);
  assert.equal(log.filter((line) => line.includes('collector throwing')).length, 1);
  assert.match(log.join(), /TypeError: not a function/);
});

test('samples from before a collector threw are kept', async (context) => {
  const half: Collector = {
    name: 'half',
    collect(collection, report) {
      void giving('half', 3).collect(collection, report);
      throw new SourceError('malformed', '/proc/x', 'unexpected content');
    },
  };
  const { scrape } = start(context, () => [half]);
  const result = await scrape.collect(1000);
  assert.deepEqual([success(result, 'half'), seriesOf(result, 'half')], [0, 3]);
  assert.equal(result.results.get('half')?.series, 3);
});

test('a collector that hangs forever is abandoned, and earlier results are delivered', async (context) => {
  const { scrape, log } = start(context, () => [giving('before'), hanging]);
  const result = await scrape.collect(200);
  assert.deepEqual([success(result, 'before'), success(result, 'hanging')], [1, 0]);
  assert.match(log.join(), /collector hanging: .* left out: the scrape timeout was reached/);
});

test('a collection that a short timeout cut is not logged, neither as a failure nor as a recovery', async (context) => {
  let hangs = true;
  const failing: Collector = {
    name: 'hanging',
    async collect(_, report) {
      report(new SourceError('denied', '/sys/x', 'EACCES'));
      if (hangs) await new Promise(() => undefined);
    },
  };
  const { scrape, log } = start(context, () => [failing, slowly('slow', 100)]);
  for (let i = 0; i < 3; i++) assert.equal(success(await scrape.collect(50), 'slow'), 0);
  hangs = false;
  await scrape.collect(10_000);
  await scrape.collect(50);
  assert.deepEqual(
    log,
    ['collector hanging: a source is not usable EACCES'],
    'what really fails is logged once',
  );
});

test('the scrape after a hanging one is a new one', async (context) => {
  let hangs = true;
  const { scrape } = start(context, () => [hangs ? hanging : giving('hanging')]);
  assert.equal(success(await scrape.collect(100), 'hanging'), 0);
  hangs = false;
  assert.equal(success(await scrape.collect(1000), 'hanging'), 1);
});

test('a hanging collector does not affect later collectors', async (context) => {
  const { scrape } = start(context, () => [hanging, giving('after')]);
  assert.equal(success(await scrape.collect(200), 'after'), 1);
});

test('a slow collector that yields ends at the deadline with its partial result', async (context) => {
  let steps = 0;
  const slow: Collector = {
    name: 'slow',
    async collect(collection) {
      for (;;) {
        collection.families.add('kvm_vm_vcpus', { vm: `slow-${steps++}` }, 1);
        await sleep(10);
        await collection.yieldIfDue();
      }
    },
  };
  const { scrape } = start(context, () => [slow]);
  const result = await scrape.collect(150);
  assert.equal(success(result, 'slow'), 0);
  assert.ok(seriesOf(result, 'slow') > 1);
  await sleep(100);
  const before = steps;
  await sleep(100);
  assert.equal(steps, before, 'it has stopped');
});

test('a scraper with a short timeout gets a result in time, and does not cut the result of another', async (context) => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let first = true;
  const { scrape } = start(context, () => {
    const collectors = [giving('before'), first ? { name: 'slow', collect: () => released } : hanging];
    first = false;
    return collectors;
  });
  const patient = scrape.collect(60_000);
  const hurried = await scrape.collect(150);
  assert.deepEqual([success(hurried, 'before'), success(hurried, 'hanging')], [1, 0]);
  release();
  assert.equal(success(await patient, 'slow'), 1);
});

test('a scraper that joins with more time does not delay the first one', async (context) => {
  const { scrape } = start(context, () => [hanging]);
  const first = scrape.collect(150);
  const second = scrape.collect(60_000);
  assert.equal(await Promise.race([first.then(() => 'first'), second.then(() => 'second')]), 'first');
});

test('four scrapers with short timeouts do not cut the result of a patient one', async (context) => {
  let begun = 0;
  const collectors = (): Collector[] => [giving('before'), begun++ < 4 ? hanging : giving('hanging')];
  const { scrape, log } = start(context, collectors, 1000, 60_000);
  const hurried = [8000, 6000, 4000, 2000].map((ms) => scrape.collect(ms));
  const patient = await scrape.collect(100_000);
  assert.deepEqual([success(patient, 'before'), success(patient, 'hanging')], [1, 1]);
  for (const each of hurried) assert.equal(success(await each, 'hanging'), 0);
  assert.deepEqual(log, []);
});

test('four hanging patient scrapers do not delay one with a short timeout, which gets a partial result', async (context) => {
  const { scrape } = start(context, () => [giving('before'), hanging]);
  for (const seconds of [120, 100, 80, 60]) void scrape.collect(seconds * 1000);
  const result = await scrape.collect(100);
  assert.deepEqual(
    [seriesOf(result, 'before'), success(result, 'before'), success(result, 'hanging')],
    [1, 1, 0],
  );
  assert.equal(value(result, 'kvm_telemetry_build_info', 'version="1"'), 1);
});

/** Gives each VM, and the host, as many series as it wants. */
function wanting(wants: Readonly<Record<string, number>>): Collector {
  return {
    name: 'wanting',
    collect({ families }) {
      for (const [vm, count] of Object.entries(wants)) {
        for (let i = 0; i < count; i++) {
          if (vm === 'host') families.add('kvm_cpu_run_seconds_total', { cpu: i }, 1);
          else families.add('kvm_vm_threads', { vm, role: i }, 1);
        }
      }
    },
  };
}

const had = (result: ScrapeResult): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { name, labels } of result.families) {
    if (name.startsWith('kvm_telemetry')) continue;
    for (const each of labels) {
      const vm = /^vm="(.*?)"/.exec(each)?.[1] ?? 'host';
      counts[vm] = (counts[vm] ?? 0) + 1;
    }
  }
  return counts;
};

test('only a VM with too many series is cut, and a metric and one log line name it', async (context) => {
  const { scrape, log } = start(
    context,
    () => [wanting({ greedy: 5000, 'web-1': 20, host: 30, 'web-2': 20 })],
    100,
  );
  for (const _ of [1, 2, 3]) {
    const result = await scrape.collect(60_000);
    assert.deepEqual(had(result), { greedy: 30, 'web-1': 20, host: 30, 'web-2': 20 });
    assert.equal(value(result, 'kvm_telemetry_series'), 100);
    assert.equal(value(result, 'kvm_telemetry_series_dropped'), 4970);
    assert.equal(value(result, 'kvm_telemetry_vm_series_dropped', 'vm="greedy"'), 4970);
    assert.equal(value(result, 'kvm_telemetry_vm_series_dropped', 'vm="web-1"'), undefined);
    assert.equal(success(result, 'wanting'), 1, 'the collector did its work');
    assert.equal(value(result, 'kvm_telemetry_build_info', 'version="1"'), 1, 'own series are never dropped');
  }
  assert.equal(log.filter((line) => line.includes('dropped series')).length, 1, log.join('\n'));
});

test('in any order, two VMs with many series share the room that the others and the host leave', async (context) => {
  const wants = [
    ['a', 4000],
    ['host', 40],
    ['web', 10],
    ['b', 4000],
  ] as const;
  for (const order of [wants, [...wants].reverse()]) {
    const { scrape } = start(context, () => [wanting(Object.fromEntries(order))], 100);
    const { a, b, host, web } = had(await scrape.collect(60_000));
    assert.deepEqual({ a, b, host, web }, { a: 25, b: 25, host: 40, web: 10 });
  }
});

test('a host with too many series leaves half of the room to the VMs, or as much as they need', async (context) => {
  const { scrape } = start(context, () => [wanting({ host: 500, a: 500 })], 100);
  assert.deepEqual(had(await scrape.collect(60_000)), { host: 50, a: 50 });
  const { scrape: other } = start(context, () => [wanting({ host: 500, a: 5 })], 100);
  assert.deepEqual(had(await other.collect(60_000)), { host: 95, a: 5 });
});

test('a value that is no number is no sample', async (context) => {
  const odd: Collector = {
    name: 'odd',
    collect({ families }) {
      for (const [i, number] of [Number.NaN, Number.POSITIVE_INFINITY, 1].entries()) {
        families.add('kvm_vm_vcpus', { vm: `odd-${i}` }, number);
      }
    },
  };
  const { scrape } = start(context, () => [odd]);
  assert.equal(seriesOf(await scrape.collect(1000), 'odd'), 1);
});

test('a failure is logged once for many scrapes, and its end once', async (context) => {
  let fails = true;
  const flaky: Collector = {
    name: 'flaky',
    collect(_, report) {
      if (fails) report(new SourceError('denied', '/sys/x', 'EACCES'));
    },
  };
  const { scrape, log } = start(context, () => [flaky]);
  for (let i = 0; i < 3; i++) await scrape.collect(1000);
  fails = false;
  for (let i = 0; i < 3; i++) await scrape.collect(1000);
  assert.deepEqual(
    log.filter((line) => line.includes('flaky')),
    ['collector flaky: a source is not usable EACCES', 'collector flaky: all sources usable again'],
  );
});

test('every collector reports its duration and its success', async (context) => {
  const { scrape } = start(context, () => [giving('a'), throwing]);
  const result = await scrape.collect(1000);
  for (const collector of ['inventory', 'a', 'throwing']) {
    const seconds = value(result, 'kvm_telemetry_collector_duration_seconds', `collector="${collector}"`);
    assert.ok(seconds !== undefined && seconds >= 0 && seconds < 1, collector);
  }
});

test("a result has the collector's findings, and limits only if the collector names some", async (context) => {
  const limited: Collector = { ...giving('limited', 2), limits: ['this kernel has no schedstat'] };
  const { scrape } = start(context, () => [giving('plain'), limited, throwing]);
  const { results } = await scrape.collect(60_000);
  const summary = [...results].map(([name, { problems, series, limits }]) => [
    name,
    problems.length,
    series,
    ...limits,
  ]);
  assert.deepEqual(
    summary.filter(([name]) => ['inventory', 'plain', 'limited', 'throwing'].includes(String(name))),
    [
      ['inventory', 0, 0],
      ['plain', 0, 1],
      ['limited', 0, 2, 'this kernel has no schedstat'],
      ['throwing', 1, 0],
    ],
  );
  for (const name of ['libvirt', 'kvm_debugfs', 'block', 'cpus'])
    assert.deepEqual(results.get(name)?.problems, [], `${name}: the inventory reports for it`);
  assert.equal(results.get('block')?.seconds, undefined, 'it ran in the inventory');
});

test('a partial result contains a collector that missed the deadline, with its known facts', async (context) => {
  const { scrape } = start(context, () => [giving('before'), hanging, giving('after')]);
  for (const seconds of [120, 100, 80, 60]) void scrape.collect(seconds * 1000);
  const { results } = await scrape.collect(100);
  assert.deepEqual(
    ['inventory', 'before', 'hanging', 'after'].map((name) => [
      results.get(name)?.problems.map(({ kind }) => kind),
      results.get(name)?.seconds === undefined,
    ]),
    [
      [[], false],
      [[], false],
      [['timeout'], true],
      [['timeout'], true],
    ],
  );
});

test('a scrape runs a quick pass of the inventory, which reads new processes only', async (context) => {
  const { scrape, passes } = start(context, () => [giving('a')]);
  await scrape.collect(60_000);
  assert.deepEqual(passes, [false]);
});
