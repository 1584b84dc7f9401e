import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  count,
  duration,
  exact,
  fixed,
  percent,
  shortThread,
  tick,
} from '../../../../exporter/page/browser/format.ts';

test('counts have three significant digits and a unit', () => {
  const cases: [number | undefined, string][] = [
    [undefined, '–'],
    [Number.NaN, '–'],
    [0, '0'],
    [0.001, '<0.01'],
    [0.42, '0.42'],
    [1, '1'],
    [7.3, '7.3'],
    [12.34, '12.3'],
    [12, '12'],
    [99.96, '100'],
    [812.4, '812'],
    [999.6, '1,000'],
    [9431, '9,431'],
    [9999.4, '9,999'],
    [9999.6, '10k'],
    [95_234, '95.2k'],
    [300_000, '300k'],
    [999_960, '1M'],
    [1_250_000, '1.25M'],
    [4.2e9, '4.2G'],
  ];
  for (const [value, text] of cases) assert.equal(count(value), text, String(value));
});

test('columns of numbers have two decimal places', () => {
  assert.deepEqual([0, 0.004, 1, 5.876, 123.4, undefined].map(fixed), [
    '0.00',
    '0.00',
    '1.00',
    '5.88',
    '123',
    '–',
  ]);
});

test('axis labels differ', () => {
  assert.deepEqual(
    [0, 0.005, 0.01].map((value) => tick(value, 0.005)),
    ['0.000', '0.005', '0.010'],
  );
  assert.deepEqual(
    [0, 0.2].map((value) => tick(value, 0.2)),
    ['0.0', '0.2'],
  );
  assert.deepEqual(
    [0.25, 0.5].map((value) => tick(value, 0.25)),
    ['0.25', '0.50'],
  );
  assert.deepEqual(
    [0, 5].map((value) => tick(value, 5)),
    ['0', '5'],
  );
});

test('durations have a fitting unit', () => {
  const times = [0, 310e-9, 4.2e-6, 999.96e-6, 1.8e-3, 2, undefined];
  assert.deepEqual(times.map(duration), ['0 s', '310 ns', '4.2 µs', '1 ms', '1.8 ms', '2 s', '–']);
});

test('shares', () => {
  assert.deepEqual([0, 0.001, 0.094, 0.5, 1, undefined].map(percent), [
    '0%',
    '0.1%',
    '9.4%',
    '50%',
    '100%',
    '–',
  ]);
});

test('counters are shown exactly', () => {
  assert.equal(exact(229_512), '229,512');
  assert.equal(exact(1.000000001), '1.000000001');
});

test('thread names are shortened for small fields', () => {
  const names = [
    'vcpu12',
    'iothread:io0',
    'iothread:iothread1',
    'iothread:data',
    'vhost0',
    'sqpoll1',
    'emulator',
  ];
  assert.deepEqual(names.map(shortThread), ['v12', 'io0', 'io1', 'data', 'vh0', 'sq1', 'emu']);
});
