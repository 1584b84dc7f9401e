import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { comparisonOf, type Question } from '../../../exporter/compare/comparison.ts';
import { METRICS } from '../../../exporter/compare/metrics.ts';
import type { Comparison, Configuration } from '../../../exporter/compare/model.ts';
import type { Series } from '../../../exporter/prometheus/series.ts';
import { INTERVAL, memoryArchive, START, seriesOf, vmSeries } from '../../../testing/compared.ts';

const SCRAPES = 200;
const CHANGE = 100;
const END = START + (SCRAPES - 1) * INTERVAL;
const changing = {
  stageAt: (i: number) => (i < CHANGE ? 'original' : 'affinity'),
  /** 1,000 I/Os per second, then 1,500. */
  iosAt: (i: number) => INTERVAL * (1000 * i + 500 * Math.max(0, i - CHANGE)),
};
const QUESTION: Question = {
  vm: 'web',
  host: undefined,
  by: 'stage',
  time: { start: START, end: END },
  metrics: METRICS,
  warmUp: 60,
  notes: [],
};

function compared(series: readonly Series[], question: Partial<Question> = {}): Promise<Comparison> {
  const quiet = { onProgress: () => undefined, warnings: () => [] };
  return comparisonOf(memoryArchive(series), { ...QUESTION, ...question }, quiet);
}

/** The value of a metric over a whole configuration. */
function valueIn({ metrics }: Comparison, { observations }: Configuration, id: string): number | undefined {
  const metric = metrics.find((each) => each.id === id);
  const all = observations.get(id);
  return metric?.valueOf(
    (all?.[0]?.sums ?? []).map((_, i) => all?.reduce((sum, { sums }) => sum + (sums[i] ?? 0), 0) ?? 0),
  );
}

function values(comparison: Comparison, id: string): (number | undefined)[] {
  return comparison.configurations.map((each) => {
    const value = valueIn(comparison, each, id);
    return value === undefined ? undefined : Math.round(value * 1e6) / 1e6;
  });
}

describe('comparison of stages', () => {
  test('has one observation for each scrape within a stage, and none across a border', async () => {
    const comparison = await compared(vmSeries(SCRAPES, changing));
    assert.deepEqual(
      comparison.configurations.map(({ name }) => name),
      ['original', 'affinity'],
    );
    assert.deepEqual(values(comparison, 'iops'), [1000, 1500]);
    assert.deepEqual(values(comparison, 'exits_per_io'), [1, 1]);
    assert.deepEqual(values(comparison, 'ios_per_kick'), [2, 2]);
    assert.deepEqual(values(comparison, 'cpu'), [2, 3]);
    assert.deepEqual(values(comparison, 'cpu_iothread'), [1, 1.5]);
    assert.deepEqual(values(comparison, 'cpu_per_1000_ios'), [0.02, 0.02]);
    assert.deepEqual(values(comparison, 'guest_cpu_share'), [0.5, 0.5]);
    const [before, after] = comparison.configurations;
    assert.equal(before?.observations.get('iops')?.length, CHANGE - 1);
    assert.equal(after?.observations.get('iops')?.length, SCRAPES - CHANGE - 1);
    assert.equal(before?.interval, INTERVAL);
    assert.deepEqual(before?.observations.get('iops')?.[0], {
      at: START + INTERVAL,
      seconds: INTERVAL,
      sums: [1000 * INTERVAL, INTERVAL],
    });
  });

  test('describes the work', async () => {
    const { configurations } = await compared(vmSeries(SCRAPES, changing));
    const { readShare, bytesPerIo, iosPerSecond, vcpus, inFlight, otherVmsCpu } =
      configurations[0]?.work ?? {};
    assert.deepEqual([readShare, bytesPerIo, iosPerSecond, vcpus], [1, 4096, 1000, 4]);
    assert.deepEqual([inFlight, otherVmsCpu], [undefined, undefined]);
  });

  test('leaves out metrics without samples, and names them once', async () => {
    const { metrics, configurations } = await compared(vmSeries(SCRAPES, changing));
    assert.equal(
      metrics.find(({ id }) => id === 'latency_p99'),
      undefined,
    );
    assert.match(configurations[0]?.notes.join() ?? '', /Not measured in any configuration: .*latency_p99/);
    assert.doesNotMatch(configurations[0]?.notes.join() ?? '', /cpu_sqpoll/);
  });

  test('a missing scrape and a counter reset are gaps, not values', async () => {
    const reset = (i: number): number =>
      i < 50 ? changing.iosAt(i) : changing.iosAt(i) - changing.iosAt(49);
    const series = vmSeries(SCRAPES, { ...changing, iosAt: reset }).map(({ labels, samples }) => ({
      labels,
      samples: samples.filter(([at]) => at !== START + 20 * INTERVAL),
    }));
    const comparison = await compared(series);
    assert.deepEqual(values(comparison, 'iops'), [1000, 1500]);
    const [before] = comparison.configurations;
    // Two scrapes without a predecessor at the gap, and the one at the reset.
    assert.equal(before?.observations.get('iops')?.length, CHANGE - 1 - 2 - 1);
    const notes = before?.notes.join() ?? '';
    assert.match(notes, /Scrapes are missing at one time/);
    assert.match(notes, /Counters were reset at one time/);
  });

  test('a thread that appears or ends is credited only while it lives', async () => {
    const late = seriesOf(
      'kvm_thread_cpu_seconds_total',
      { role: 'vcpu', mode: 'guest', thread: 'vcpu1' },
      SCRAPES,
      (i) => (i < 30 ? undefined : 1000 + 0.15 * i),
    );
    const comparison = await compared([...vmSeries(SCRAPES, changing), late]);
    // Of 99 observations 30 are without the thread.
    assert.deepEqual(values(comparison, 'cpu')[1], 4);
    assert.ok(Math.abs((values(comparison, 'cpu')[0] ?? 0) - (2 + 69 / 99)) < 1e-5);
  });

  test('a VM that lived for a part of the time, and several VMs: means per VM', async () => {
    const other = vmSeries(
      SCRAPES,
      { stageAt: () => 'affinity', iosAt: (i) => INTERVAL * 500 * i },
      { vm: 'db' },
    );
    const comparison = await compared([...vmSeries(SCRAPES, changing), ...other], { vm: '*' });
    assert.deepEqual(
      comparison.configurations.map(({ vms }) => vms),
      [['web'], ['db', 'web']],
    );
    const [, mean] = values(comparison, 'iops');
    assert.ok(Math.abs((mean ?? 0) - (99 * 1500 + 199 * 500) / 298) < 0.01, String(mean));
    assert.match(comparison.configurations[0]?.notes.join() ?? '', /never in this configuration: db\./);
  });

  test('given times', async () => {
    const by = [
      { name: 'before', span: { start: START, end: START + 600 } },
      { name: 'after', span: { start: END - 600, end: END } },
    ];
    const comparison = await compared(vmSeries(SCRAPES, changing), { by, notes: ['local'] });
    assert.deepEqual(values(comparison, 'iops'), [1000, 1500]);
    assert.deepEqual(
      comparison.configurations.map(({ observations }) => observations.get('iops')?.length),
      [40, 40],
    );
    assert.equal(comparison.configurations[0]?.notes[0], 'local');
  });

  test('quantiles of a histogram, whichever way the bounds are written', async () => {
    const bucket = (le: string, share: number, isLate: boolean): Series =>
      seriesOf('kvm_vm_block_request_duration_seconds_bucket', { le }, SCRAPES, (i) =>
        isLate === i >= CHANGE ? share * changing.iosAt(i) : undefined,
      );
    const all = [
      bucket('0.5', 0.5, false),
      bucket('1', 0.9, false),
      bucket('+Inf', 1, false),
      bucket('0.5', 0.2, true),
      bucket('1.0', 0.6, true),
      bucket('+Inf', 1, true),
    ];
    const comparison = await compared([...vmSeries(SCRAPES, changing), ...all]);
    assert.deepEqual(values(comparison, 'latency_p50'), [0.5, 0.875]);
    // Above the last bound nothing is known.
    assert.deepEqual(values(comparison, 'latency_p99'), [1, 1]);
  });

  test('I/Os of a VM whose VMM does not count them are requests to the block devices, in each configuration', async () => {
    const series = vmSeries(SCRAPES, changing).filter(
      ({ labels }) => !labels['__name__']?.includes('_disk_'),
    );
    const requests = seriesOf('kvm_vm_block_requests_total', { device: 'sda' }, SCRAPES, changing.iosAt);
    const comparison = await compared([...series, requests]);
    assert.deepEqual(values(comparison, 'iops'), [1000, 1500]);
    assert.match(comparison.configurations[0]?.notes.join() ?? '', /requests to the host's block devices/);
  });
});

describe('questions that cannot be answered', () => {
  const series = vmSeries(SCRAPES, changing);
  const refused = async (
    all: readonly Series[],
    question: Partial<Question>,
    message: RegExp,
  ): Promise<void> => {
    await assert.rejects(compared(all, question), (error: Error) => {
      assert.equal(error.name, 'ConfigError');
      assert.match(error.message, message);
      return true;
    });
  };

  test('no such VM: names the nearest', () =>
    refused(series, { vm: 'wbe' }, /no VM "wbe" in this time: did you mean "web"\?/));
  test('no such VM, none near', () => refused(series, { vm: 'database*' }, /there are "web"/));
  test('no samples at all', () => refused([], {}, /memory has no samples of kvm_vm_vcpus in this time/));
  test('one stage only', () =>
    refused(
      series,
      { time: { start: START, end: START + 600 } },
      /shows fewer than two stages .*"original" \(600 s\)/,
    ));
  test('a stage that was seen for 20 s is left out', () =>
    refused(series, { time: { start: START, end: START + (CHANGE + 1) * INTERVAL } }, /"affinity" \(15 s\)/));
  test('two hosts with one VM name', async () => {
    const twice = [...series, ...vmSeries(SCRAPES, changing, { instance: 'kvm2:9954' })];
    await refused(twice, {}, /"web" is on kvm[12]:9954 and on kvm[12]:9954: give --host/);
    const comparison = await compared(twice, { host: 'kvm2*' });
    assert.deepEqual(comparison.configurations[0]?.hosts, ['kvm2:9954']);
    assert.deepEqual(values(comparison, 'iops'), [1000, 1500]);
    await refused(
      twice,
      { host: 'kvm3*' },
      /--host: "kvm3\*" has no such VM: it is on "kvm1:9954", "kvm2:9954"/,
    );
  });
  test('two replicas of a Prometheus', () =>
    refused(
      [...series, ...vmSeries(SCRAPES, changing, { replica: 'b' })],
      {},
      /several series that differ in replica: query a server that removes duplicates/,
    ));
  test('a time without scrapes', () =>
    refused(
      series,
      {
        by: [
          { name: 'before', span: { start: START - 9000, end: START - 5000 } },
          { name: 'after', span: { start: START, end: END } },
        ],
      },
      /no two consecutive scrapes in "before"/,
    ));
});
