import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gainText, percent, valueText } from '../../../exporter/compare/report/numbers.ts';
import { labelStep, ticks } from '../../../exporter/compare/report/scale.ts';
import { mergedSpans, timeAxis } from '../../../exporter/compare/report/time-axis.ts';
import { spansText } from '../../../exporter/compare/report/times.ts';

test('an axis has at most six round numbers and reaches the largest value', () => {
  for (const most of [0.0313, 1, 3.02, 250_000, 1e-9, 7e12]) {
    const marks = ticks(most);
    assert.ok(marks.length <= 6 && Number(marks.at(-1)) >= most * 0.999, `${most}: ${marks}`);
  }
  assert.deepEqual(ticks(250_000), [0, 100_000, 200_000, 300_000]);
  assert.deepEqual(ticks(Number.NaN), [0, 1]);
});

test('an axis leaves out texts without room', () => {
  assert.equal(labelStep(['0', '1', '2'], 50), 1);
  assert.equal(labelStep(['0/s', '100,000/s', '200,000/s', '300,000/s', '400,000/s'], 57), 2);
  assert.equal(labelStep([], 57), 1);
});

test('the time axis cuts long pauses and keeps the order', () => {
  const week = 604_800;
  const { x, begins } = timeAxis(
    [
      { start: 0, end: 100 },
      { start: week, end: week + 100 },
    ],
    0,
    210,
  );
  assert.deepEqual(
    begins.map((begin) => begin.x),
    [0, 110],
  );
  assert.equal(x(50), 50);
  assert.equal(x(week + 100), 210);
  assert.equal(x(500), undefined);
  const spans = [
    { start: 5, end: 9 },
    { start: 0, end: 6 },
    { start: 20, end: 30 },
  ];
  assert.deepEqual(mergedSpans(spans, 2), [
    { start: 0, end: 9 },
    { start: 20, end: 30 },
  ]);
});

test('numbers have three digits and their unit', () => {
  assert.equal(valueText(95_213, 'per_second'), '95,200/s');
  assert.equal(valueText(0.000_31, 'seconds'), '310 µs');
  assert.equal(valueText(5.3e8, 'bytes_per_second'), '505 MiB/s');
  assert.equal(valueText(980.4, 'percent'), '980%');
  assert.equal(valueText(undefined, 'number'), '–');
  assert.equal(gainText(0.421), '+42.1%');
  assert.equal(gainText(-0.99664), '−99.66%');
  for (const gain of [-0.99, -0.9900001, -0.9899999]) assert.equal(gainText(gain), '−99.0%');
  for (const gain of [-0.999, -0.9990001, -0.9989999]) assert.equal(gainText(gain), '−99.90%');
  assert.equal(gainText(12), '×13');
  assert.equal(percent(1e-9, true), '0%');
});

test('times are in UTC, with the day once', () => {
  const start = Date.UTC(2026, 10, 27, 8, 15) / 1000;
  assert.equal(spansText([{ start, end: start + 3540 }]), '59 min: 2026-11-27 08:15 to 09:14');
  const later = { start: start + 86_400, end: start + 86_460 };
  assert.equal(
    spansText([{ start, end: start + 60 }, later]),
    '2 min in 2 times: 2026-11-27 08:15 to 2026-11-28 08:16',
  );
  assert.equal(spansText([]), '–');
});
