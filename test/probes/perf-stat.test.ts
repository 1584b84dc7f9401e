import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type PerfCounts,
  PerfIntervals,
  type PerfReading,
  PerfStatLines,
  parsePerfStatLine,
} from '../../probes/perf-stat.ts';
import { ROOT } from '../../testing/daemon.ts';

/**
 * Recorded with perf 6.1 on Linux 6.18: a guest under KVM that wrote 60000 times to port 0xe9, said so in 9 bytes on its
 * serial port, and then the same with 20000 times and port 0x80. The vCPUs did not run in the first and last interval.
 */
const RECORDED = readFileSync(`${ROOT}test/fixtures/perf/stat-6.1.jsonl`, 'utf8');
const EVENTS = ['kvm:kvm_pio', 'kvm:kvm_emulate_insn', 'kvm:kvm_pio', 'kvm:kvm_hypercall', 'kvm:kvm_pio'];

function readingsOf(chunks: readonly string[]): PerfReading[] {
  const lines = new PerfStatLines();
  return chunks.flatMap((chunk) => [...lines.push(chunk)]);
}

function countsOf(readings: readonly PerfReading[], events: readonly string[] = EVENTS): PerfCounts[] {
  const intervals = new PerfIntervals(events);
  return [...readings.flatMap((reading) => [...intervals.push(reading)]), ...intervals.end()];
}

function line(value: string, interval = 1.5, event = 'kvm:kvm_pio'): string {
  return `{"interval" : ${interval}, "counter-value" : "${value}", "unit" : "", "event" : "${event}"}`;
}

const reading = (interval: number, event: string, count: number | undefined): PerfReading => ({
  interval,
  event,
  count,
});

test("the counts of each filter are read from perf's output", () => {
  const counts = countsOf(readingsOf([RECORDED]));
  assert.equal(counts.length, RECORDED.trim().split('\n').length / EVENTS.length);
  const sums = EVENTS.map((_, i) => counts.reduce((sum, interval) => sum + (interval[i] ?? Number.NaN), 0));
  assert.deepEqual(sums.toSpliced(1, 1), [60_000, 20_000, 0, 18]);
  assert.ok((sums[1] ?? 0) > 80_000, 'the firmware does more');
  assert.deepEqual(counts[0], [0, 0, 0, 0, 0], 'not counted is none');
});

test('readings do not depend on the chunk size or on other lines in between', () => {
  const noise = fc.constantFrom(
    'Warning:\nkvm:kvm_pio: something is odd',
    '{"interval" : 1,004466397, "counter-value" : "1", "event" : "kvm:kvm_pio"}',
    '{"interval" : 1.0, "metric-value" : 0.1}',
    '# started on Sun Nov 22 13:19:41 2026\n',
    '{',
    '',
    '\0',
    'x'.repeat(70_000),
  );
  const expected = readingsOf([RECORDED]);
  const places = fc.array(fc.tuple(fc.nat({ max: 60 }), noise), { maxLength: 8 });
  fc.assert(
    fc.property(places, fc.array(fc.nat({ max: 20_000 }), { maxLength: 50 }), (inserted, cuts) => {
      const lines = RECORDED.trimEnd().split('\n');
      for (const [at, text] of inserted) lines.splice(at, 0, text);
      const whole = `${lines.join('\n')}\n`;
      const ends = [...cuts, whole.length].sort((a, b) => a - b);
      const chunks = ends.map((end, i) => whole.slice(ends[i - 1] ?? 0, end));
      assert.deepEqual(readingsOf(chunks), expected);
    }),
  );
});

test('an incomplete line is not parsed', () => {
  const lines = new PerfStatLines();
  assert.deepEqual([...lines.push(line('7'))], []);
  assert.deepEqual([...lines.push('\n')], [reading(1.5, 'kvm:kvm_pio', 7)]);
  assert.equal(lines.pending, 0);
});

test('an endless line is dropped and uses no memory', () => {
  const lines = new PerfStatLines();
  for (let i = 0; i < 1000; i++) {
    assert.deepEqual([...lines.push('{'.padEnd(1000))], []);
    assert.ok(lines.pending <= 64 * 1024);
  }
  assert.deepEqual([...lines.push(`}\n${line('8')}\n`)], [reading(1.5, 'kvm:kvm_pio', 8)]);
});

test('only an unsigned decimal is a count', () => {
  for (const [value, count] of [
    ['2817.000000', 2817],
    ['0', 0],
    ['9007199254740991.000000', Number.MAX_SAFE_INTEGER],
    ['<not counted>', 0],
    ['<not supported>', undefined],
  ] as const) {
    assert.deepEqual(parsePerfStatLine(line(value)), reading(1.5, 'kvm:kvm_pio', count), value);
  }
  for (const value of [
    '',
    '-1.000000',
    '1.5',
    '2,817',
    '1e3',
    'nan',
    '18446744073709551615.000000',
    '<odd>',
  ]) {
    assert.equal(parsePerfStatLine(line(value)), undefined, value);
  }
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '{"interval":"1","counter-value":"1","event":"a"}',
    '{"event":',
  ])
    assert.equal(parsePerfStatLine(text), undefined, text);
});

test('in each interval, the k-th line of an event belongs to its k-th filter', () => {
  const events = ['a', 'b', 'a'];
  const lines = [1, 2].flatMap((at) => [
    reading(at, 'a', at * 10),
    reading(at, 'b', at),
    reading(at, 'a', at * 100),
  ]);
  assert.deepEqual(countsOf(lines, events), [
    [10, 1, 100],
    [20, 2, 200],
  ]);
});

test('counts come as soon as the interval is whole', () => {
  const intervals = new PerfIntervals(['a', 'b']);
  assert.deepEqual([...intervals.push(reading(1, 'a', 1))], []);
  assert.deepEqual([...intervals.push(reading(1, 'b', 2))], [[1, 2]]);
  assert.deepEqual([...intervals.end()], []);
});

test('if a line is missing, the counts of that event are unknown', () => {
  const lines = [
    reading(1, 'a', 1),
    reading(1, 'b', 2),
    reading(2, 'a', 3),
    reading(2, 'b', 4),
    reading(2, 'a', 5),
  ];
  assert.deepEqual(countsOf(lines, ['a', 'b', 'a']), [
    [undefined, 2, undefined],
    [3, 4, 5],
  ]);
});

test('an event that was not requested is not counted', () => {
  assert.deepEqual(countsOf([reading(1, 'x', 1), reading(1, 'a', 2)], ['a']), [[2]]);
});
