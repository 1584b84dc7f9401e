import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePressure } from '../../probes/pressure.ts';
import { testRobustness } from './robustness.ts';

/** Linux 6.18. */
const CPU =
  'some avg10=86.32 avg60=83.58 avg300=84.20 total=25054605649\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n';
/** Linux before 5.13 has no full line for cpu, and no kernel has a some line for irq. */
const OLD_CPU = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n';
const IRQ = 'full avg10=0.00 avg60=0.00 avg300=0.00 total=34\n';

test('the totals are in microseconds', () => {
  assert.deepEqual(parsePressure(CPU), { some: 25_054_605_649, full: 7 });
  assert.deepEqual(parsePressure(OLD_CPU), { some: 12, full: undefined });
});

test('irq has no line for some', () => {
  assert.deepEqual(parsePressure(IRQ), { some: undefined, full: 34 });
});

test('text of another kind is an error', () => {
  for (const text of ['', 'some total=1\n', 'few avg10=0.00 avg60=0.00 avg300=0.00 total=34\n'])
    assert.throws(() => parsePressure(text), /pressure/);
});

testRobustness('parsePressure', parsePressure, [CPU, OLD_CPU, IRQ]);
