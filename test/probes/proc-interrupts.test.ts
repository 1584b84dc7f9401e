import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { handlersOf, InterruptsParser, readInterrupts } from '../../probes/proc-interrupts.ts';
import { captured, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const TEXT = captured('proc/interrupts');
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

interface Line {
  readonly id: string;
  readonly counts: readonly number[];
  readonly text: string;
}

/** @param pieces sizes of the chunks, in turn */
function parsed(text: string, pieces: readonly number[] = [1 << 20]): Line[] {
  const lines: Line[] = [];
  const parser = new InterruptsParser(({ id, counts, text: rest }) => {
    lines.push({ id, counts: [...counts], text: rest });
  });
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = pieces[i % pieces.length] ?? 1;
    parser.push(bytes.subarray(at, at + size));
    at += size;
  }
  parser.end();
  return lines;
}

const line = (lines: readonly Line[], id: string): Line | undefined => lines.find((each) => each.id === id);

test('lines of a captured host have their columns and their description', () => {
  const lines = parsed(TEXT);
  assert.deepEqual(line(lines, '29'), {
    id: '29',
    counts: [15867, 0],
    text: 'PCI-MSI 16385-edge      nvme0q1',
  });
  assert.deepEqual(line(lines, 'RES'), { id: 'RES', counts: [855, 1139], text: 'Rescheduling interrupts' });
});

test('the 6.18 form, with the PCI address in the name of the chip, is read', () => {
  const lines = parsed(TEXT_6_18);
  assert.deepEqual(line(lines, '32')?.counts, [146, 7]);
  assert.deepEqual(handlersOf(line(lines, '32')?.text ?? ''), ['virtio0-reporting_vq']);
  assert.deepEqual(line(lines, '40')?.counts, [9, 0]);
  assert.deepEqual(line(lines, 'ERR'), { id: 'ERR', counts: [3], text: '' });
  assert.deepEqual(line(lines, 'PIN')?.counts, [4, 5]);
});

test('the columns are those of the CPUs that are online', () => {
  const text = '            CPU0       CPU2     CPU200\n 33:  1  2  4  GICv3 27 Level     arch_timer\n';
  let cpus: readonly number[] = [];
  new InterruptsParser((each) => {
    cpus = each.cpus;
  }).push(Buffer.from(text));
  assert.deepEqual(cpus, [0, 2, 200]);
});

test('a line with fewer numbers than CPUs does not borrow from the text behind them or from the next line', () => {
  const text = 'CPU0 CPU1 CPU2\n 1: 5 6 16-edge x\n 2: 7\n 3: 8 9 10\n';
  assert.deepEqual(
    parsed(text).map(({ counts }) => counts),
    [[5, 6], [7], [8, 9, 10]],
  );
});

test('all handlers of a line are read, whatever chip and trigger precede them', () => {
  assert.deepEqual(handlersOf('IR-IO-APIC   16-fasteoi   i801_smbus, nvme0q0, nvme0q1'), [
    'i801_smbus',
    'nvme0q0',
    'nvme0q1',
  ]);
  assert.deepEqual(handlersOf('GICv3 562 Level nvme0q0, nvme0q1'), ['nvme0q0', 'nvme0q1']);
  assert.deepEqual(handlersOf('nvme0q0'), ['nvme0q0']);
  assert.deepEqual(handlersOf(''), []);
});

test('the lines do not depend on the chunk size', () => {
  const whole = parsed(TEXT_6_18);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (pieces) => {
      assert.deepEqual(parsed(TEXT_6_18, pieces), whole);
    }),
  );
});

test('numbers that were printed are the numbers that are read', () => {
  const rows = fc.array(fc.array(fc.nat(2 ** 32 - 1), { minLength: 3, maxLength: 3 }), { minLength: 1 });
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 64 }), (table, piece) => {
      const text = table.map(
        (row, i) =>
          `${i}:${row.map((count) => ` ${String(count).padStart(10)}`).join('')}  PCI-MSI  nvme0q${i}\n`,
      );
      const lines = parsed(`   CPU0  CPU1  CPU2\n${text.join('')}`, [piece]);
      assert.deepEqual(
        lines.map(({ counts }) => counts),
        table,
      );
    }),
  );
});

test('a text without its header or with a line of another form is refused', () => {
  for (const text of ['', '\n', ' 1: 2\n', 'CPU0\nno colon\n', 'CPU0\n1 2\n3: 4\n', 'CPUS\n1: 2\n']) {
    assert.throws(() => parsed(text), malformed, JSON.stringify(text));
  }
});

test('a file of 18 MB (512 CPUs, 24 NVMe) is read completely as a stream', (context) => {
  const tree = hostTree(context);
  const cpus = 512;
  const empty = ` ${'0'.padStart(10)}`.repeat(cpus - 1);
  const rows = Array.from(
    { length: 24 * 129 },
    (_, i) =>
      `${String(i).padStart(5)}: ${String(i).padStart(10)}${empty}  IR-PCI-MSIX-0000:c1:00.0  ${i % 129}-edge      nvme${Math.floor(i / 129)}q${i % 129}\n`,
  );
  const header = Array.from({ length: cpus }, (_, cpu) => `CPU${cpu}`.padStart(11)).join('');
  tree.write('proc/interrupts', `${header}\n${rows.join('')}`);
  let lines = 0;
  let sum = 0;
  let pieces = 0;
  const reading = readInterrupts(tree.host, ({ counts }) => {
    lines++;
    for (const count of counts) sum += count;
  });
  for (const _ of reading) pieces++;
  assert.equal(lines, rows.length);
  assert.equal(sum, ((rows.length - 1) * rows.length) / 2);
  assert.ok(pieces > 100, `${pieces} pieces`);
});

test('the running kernel is read line by line', () => {
  let lines = 0;
  let sum = 0;
  const reading = readInterrupts(liveHost(), ({ counts }) => {
    lines++;
    for (const count of counts) sum += count;
  });
  for (const _ of reading);
  assert.equal(lines, readFileSync('/proc/interrupts', 'utf8').trimEnd().split('\n').length - 1);
  assert.ok(sum > 0);
});

testRobustness('InterruptsParser', (text) => parsed(text), [TEXT, TEXT_6_18]);
