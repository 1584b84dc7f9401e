import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseInterrupts, readInterrupts } from '../../probes/proc-interrupts.ts';
import { captured, capturedHost, liveHost } from './captured.ts';
import { testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const TEXT = captured('proc/interrupts');
const all = () => true;
/** Linux 6.18. */
const TEXT_6_18 = [
  '           CPU0       CPU1       ',
  ' 24:          1          0  IO-APIC   5-edge      ACPI:Ged',
  ' 26:          0         16  IO-APIC   4-edge      ttyS0',
  ' 31:          0        506 PCI-MSIX-0000:00:01.0   3-edge      virtio0-stats',
  ' 32:        146          7 PCI-MSIX-0000:00:01.0   4-edge      virtio0-reporting_vq',
  ' 40:          9          0 PCI-MSIX-0000:01:00.0  12-edge      ',
  'NMI:          0          0   Non-maskable interrupts',
  'ERR:          3',
  'PIN:          4          5   Posted-interrupt notification event',
  '',
].join('\n');

test('NVMe queues and posted interrupts of a captured host are summed over the CPUs', () => {
  assert.deepEqual(
    parseInterrupts(TEXT, (id, action) => action.startsWith('nvme') || id === 'RES'),
    [
      { id: '28', count: 12, action: 'nvme0q0' },
      { id: '29', count: 15867, action: 'nvme0q1' },
      { id: '30', count: 7590, action: 'nvme0q2' },
      { id: 'RES', count: 855 + 1139, action: 'interrupts' },
    ],
  );
  assert.deepEqual(
    readInterrupts(capturedHost('toy-pio-hlt', 't1'), (id) => id === 'PIN'),
    [{ id: 'PIN', count: 0, action: 'event' }],
  );
});

test('the 6.18 form, with the PCI address in the name of the chip, is read', () => {
  const lines = new Map(parseInterrupts(TEXT_6_18, all).map((line) => [line.id, line]));
  assert.deepEqual(lines.get('24'), { id: '24', count: 1, action: 'ACPI:Ged' });
  assert.deepEqual(lines.get('32'), { id: '32', count: 153, action: 'virtio0-reporting_vq' });
  assert.deepEqual(lines.get('40'), { id: '40', count: 9, action: '' });
  assert.equal(lines.get('ERR')?.count, 3);
  assert.equal(lines.get('PIN')?.count, 9);
});

test('the columns are those of the CPUs that are online', () => {
  const text =
    '            CPU0       CPU2     CPU200\n 33:  1  2  4  GICv3 27 Level     arch_timer\nIPI0: 5 6 7 Rescheduling\n';
  assert.deepEqual(
    parseInterrupts(text, all).map(({ id, count }) => [id, count]),
    [
      ['33', 7],
      ['IPI0', 18],
    ],
  );
});

test('a line with fewer numbers than CPUs does not borrow from the text behind them or from the next line', () => {
  const text = 'CPU0 CPU1 CPU2\n 1: 5 6 16-edge x\n 2: 7\n 3: 8 9 10\n';
  assert.deepEqual(
    parseInterrupts(text, all).map(({ count }) => count),
    [11, 7, 27],
  );
});

test('a line without a space has no action, and none from the lines above', () => {
  assert.deepEqual(parseInterrupts('CPU0\nA:\nB:\n', all), [
    { id: 'A', count: 0, action: '' },
    { id: 'B', count: 0, action: '' },
  ]);
});

test('a text without its header or with a line of another form is refused', () => {
  for (const text of ['', '\n', 'CPU0', ' 1: 2\n', 'CPU0\nno colon\n', 'CPU0\n1 2\n3: 4\n', 'CPUS\n1: 2\n']) {
    assert.throws(() => parseInterrupts(text, all), malformed, JSON.stringify(text));
  }
});

test('the running kernel is read line by line', () => {
  const lines = readInterrupts(liveHost(), all);
  assert.equal(lines.length, readFileSync('/proc/interrupts', 'utf8').trimEnd().split('\n').length - 1);
  assert.ok(lines.some(({ count }) => count > 0));
});

testRobustness('parseInterrupts', (text) => parseInterrupts(text, all), [TEXT, TEXT_6_18]);
