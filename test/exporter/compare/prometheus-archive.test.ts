import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PrometheusArchive } from '../../../exporter/compare/prometheus-archive.ts';
import { TooMuchError } from '../../../exporter/prometheus/errors.ts';
import type { Series } from '../../../exporter/prometheus/series.ts';
import type { PrometheusServer } from '../../../exporter/prometheus/server.ts';

type Server = Pick<PrometheusServer, 'samples' | 'instant' | 'range' | 'labelSets'>;

/** A server that has a sample each 15 s, and logs its queries. */
function archiveOn(server: Partial<Server>): { archive: PrometheusArchive; queries: string[] } {
  const queries: string[] = [];
  const nothing = async (): Promise<never[]> => [];
  const logged: Server = {
    samples: async (selector, at) => {
      queries.push(`${selector} at ${at}`);
      return (await server.samples?.(selector, at)) ?? [];
    },
    range: async (query, start, end, step) => {
      queries.push(`${query} from ${start} to ${end} by ${step}`);
      return (await server.range?.(query, start, end, step)) ?? [];
    },
    instant: server.instant ?? nothing,
    labelSets: server.labelSets ?? nothing,
  };
  return { archive: new PrometheusArchive(logged, 'http://prometheus'), queries };
}

async function all(pieces: AsyncIterable<readonly Series[]>): Promise<Series[]> {
  const series: Series[] = [];
  for await (const piece of pieces) series.push(...piece);
  return series;
}

const kicks = {
  metric: 'kvm_vm_io_path_events_total',
  labels: { step: ['kick', 'inject'], vm: ['a.b"|'] },
} as const;
const seriesOf = (samples: number): Series[] => [
  { labels: { vm: 'web' }, samples: Array.from({ length: samples }, (_, i) => [i, i]) },
];

test('reads samples as they were scraped, piece by piece', async () => {
  const { archive, queries } = archiveOn({ samples: async () => seriesOf(10) });
  await all(archive.samples(kicks, { start: 0, end: 10_000 }));
  assert.deepEqual(queries, [
    'kvm_vm_io_path_events_total{step=~"kick|inject",vm="a.b\\"|"}[1800001ms] at 1800',
    'kvm_vm_io_path_events_total{step=~"kick|inject",vm="a.b\\"|"}[7200001ms] at 9000',
    'kvm_vm_io_path_events_total{step=~"kick|inject",vm="a.b\\"|"}[1000001ms] at 10000',
  ]);
});

test('several names become one regular expression', async () => {
  const { archive, queries } = archiveOn({});
  await all(
    archive.samples({ metric: 'kvm_vm_vcpus', labels: { vm: ['a.b', 'c|d'] } }, { start: 0, end: 60 }),
  );
  assert.deepEqual(queries, ['kvm_vm_vcpus{vm=~"a\\\\.b|c\\\\|d"}[60001ms] at 60']);
});

test('shorter pieces after a large response', async () => {
  const { archive, queries } = archiveOn({ samples: async () => seriesOf(200_000) });
  await all(archive.samples(kicks, { start: 0, end: 3600 }));
  assert.match(queries[1] ?? '', /\[450001ms\] at 2250$/);
});

test('halves a piece that is too large for the server, down to a minute', async () => {
  const { archive, queries } = archiveOn({
    samples: async (selector) => {
      if (/\[1800001ms\]/.test(selector)) throw new TooMuchError('422');
      return seriesOf(50_000);
    },
  });
  await all(archive.samples(kicks, { start: 0, end: 1800 }));
  assert.deepEqual(
    queries.map((query) => query.replace(/.*\[/, '')),
    ['1800001ms] at 1800', '900001ms] at 900', '900001ms] at 1800'],
  );
  const never = archiveOn({
    samples: () => Promise.reject(new TooMuchError('422')),
  });
  await assert.rejects(all(never.archive.samples(kicks, { start: 0, end: 1800 })), TooMuchError);
  assert.ok(never.queries.length < 10);
});

test('sums growth in windows, without a point in two pieces', async () => {
  const { archive, queries } = archiveOn({ range: async () => seriesOf(1) });
  const how = { kind: 'growth', unite: 'sum', by: ['step'], seconds: 300 } as const;
  await all(archive.windows(kicks, { start: 1000, end: 31_600 }, how));
  const query =
    'sum by (cluster, job, instance, vm, step) (increase(kvm_vm_io_path_events_total{step=~"kick|inject",vm="a.b\\"|"}[300s]))';
  assert.deepEqual(queries, [`${query} from 1300 to 7300 by 300`, `${query} from 7600 to 31600 by 300`]);
});

test('a gauge is averaged, a time is too short for a window', async () => {
  const { archive, queries } = archiveOn({});
  const gauge = { metric: 'kvm_vm_queue_locality_ratio', labels: { vm: ['web'] } } as const;
  const how = { kind: 'level', unite: 'sum', by: [], seconds: 300 } as const;
  await all(archive.windows(gauge, { start: 0, end: 200 }, how));
  assert.deepEqual(queries, []);
  await all(archive.windows(gauge, { start: 0, end: 300 }, how));
  assert.deepEqual(queries, [
    'avg by (cluster, job, instance, vm) (avg_over_time(kvm_vm_queue_locality_ratio{vm="web"}[300s])) from 300 to 300 by 300',
  ]);
});

test('the CPU of other VMs is a mean over time and hosts', async () => {
  const asked: [string, number][] = [];
  const { archive } = archiveOn({
    instant: async (query, at) => {
      asked.push([query, at]);
      return [{ labels: {}, samples: [[at, at < 100 ? 2 : 6]] }];
    },
  });
  const subject = (instance: string) => ({ key: instance, vm: 'web', cluster: '', job: 'j', instance });
  const times = [
    { start: 0, end: 60 },
    { start: 140, end: 200 },
  ];
  assert.equal(await archive.otherVmsCpu([subject('a:1'), subject('b:1')], times, 15), 2);
  assert.deepEqual(asked[0], [
    'sum(rate(kvm_thread_run_seconds_total{instance=~"a:1|b:1",vm!~"web"}[120s]))',
    5,
  ]);
  assert.deepEqual(
    asked.map(([, at]) => at),
    [5, 15, 25, 35, 45, 55, 145, 155, 165, 175, 185, 195],
  );
});
