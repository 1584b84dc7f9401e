import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type HistBlock, parseHist, readHist } from '../../probes/tracefs-hist.ts';
import { captured, capturedHost } from '../../testing/captured.ts';
import { outcome, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const INSTANCE = 'sys/kernel/tracing/instances/x/events';
const EXIT_LATENCY = captured(`${INSTANCE}/synthetic/kvm_exit_lat/hist`, 'linux-nvme-vhost', 't1');
const HALT_POLL = captured(`${INSTANCE}/kvm/kvm_halt_poll_ns/hist`);
const MMIO = captured(`${INSTANCE}/kvm/kvm_mmio/hist`, 'linux-nvme-vhost', 't1');

const totals = (hits: number, entries: number, dropped = 0): string =>
  `\nTotals:\n    Hits: ${hits}\n    Entries: ${entries}\n    Dropped: ${dropped}\n`;
const rendered = (trigger: string, rows: readonly string[], end = totals(7, rows.length)): string =>
  `# event histogram\n#\n# trigger info: ${trigger}\n#\n\n${rows.map((row) => `${row}\n`).join('')}${end}`;
const joined = (...blocks: readonly string[]): string => blocks.join('\n\n');
const decimal = (value: bigint | number): string => String(value).padStart(10);
const rowsOf = ({ columns, rows, keys, values }: HistBlock): number[][] => {
  const width = keys.length + values.length;
  return Array.from({ length: rows }, (_, row) => [...columns.slice(row * width, (row + 1) * width)]);
};
function only(text: string): HistBlock {
  const [block, ...others] = parseHist(text);
  assert.ok(block !== undefined && others.length === 0);
  return block;
}

const PIDS = rendered('hist:keys=pid:vals=hitcount:sort=hitcount:size=2048 [active]', [
  `{ pid: ${decimal(254)} } hitcount: ${decimal(3)}`,
  `{ pid: ${decimal(252)} } hitcount: ${decimal(4)}`,
]);
const BY_NAME = 'hist:keys=comm:vals=hitcount:sort=hitcount:size=2048 [active]';
const named = (name: string, hits = 7): string => `{ comm: ${name.padEnd(50)} } hitcount: ${decimal(hits)}`;

test('a captured file with two histograms is read', () => {
  assert.deepEqual(parseHist(HALT_POLL), [
    {
      trigger: 'hist:keys=vcpu_id,grow,new.log2:vals=hitcount:sort=hitcount:size=4096',
      active: true,
      keys: ['vcpu_id', 'grow', 'new'],
      values: ['hitcount'],
      rows: 4,
      columns: Float64Array.of(0, 0, 0, 10, 0, 1, 14, 10, 1, 0, 0, 15, 1, 1, 14, 15),
      unreadable: false,
      hits: 50,
      entries: 4,
      dropped: 0,
    },
    {
      trigger: 'hist:keys=common_pid,vcpu_id:vals=hitcount,new:sort=hitcount:size=4096',
      active: true,
      keys: ['common_pid', 'vcpu_id'],
      values: ['hitcount', 'new'],
      rows: 2,
      columns: Float64Array.of(252, 0, 20, 100000, 254, 1, 30, 150000),
      unreadable: false,
      hits: 50,
      entries: 2,
      dropped: 0,
    },
  ]);
});

test('latencies by exit reason, the bucket above 2^63 included', () => {
  const [latencies, sums] = parseHist(EXIT_LATENCY);
  assert.ok(latencies !== undefined && sums !== undefined);
  assert.deepEqual([latencies.hits, latencies.rows, sums.hits, sums.rows], [76941, 178, 76729, 33]);
  assert.deepEqual(rowsOf(latencies)[0], [254, 141, 16, 1]);
  assert.deepEqual(rowsOf(latencies)[15], [252, 1024, 64, 1]);
  assert.deepEqual(rowsOf(latencies).at(-1), [254, 123, 16, 13747]);
  assert.deepEqual(rowsOf(sums)[0], [254, 120, 5241, 9220383520]);
});

/** All rows of a file, by a regular expression. */
function foundIn(text: string): number[][] {
  return text.split('# trigger info: ').flatMap((block) =>
    block
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) =>
        Array.from(line.matchAll(/(\w+): +(?:~ 2\^)?(\w+)/g), ([, name = '', word = '']) =>
          Number.parseInt(word, new RegExp(`[=,]${name}\\.hex`).test(block) ? 16 : 10),
        ),
      ),
  );
}

test('the numbers of every captured file match a regular expression', () => {
  let rows = 0;
  for (const host of ['linux-nvme-vhost', 'toy-pio-hlt'] as const) {
    for (const moment of ['t0', 't1'] as const) {
      const folder = `${capturedHost(host, moment).roots.tracefs}/instances/x/events`;
      const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
      for (const path of paths.filter((name) => name.endsWith('/hist'))) {
        const text = captured(`${INSTANCE}/${path}`, host, moment);
        const found = foundIn(text);
        const blocks = parseHist(text);
        assert.equal(blocks.length, text.split('# event histogram').length - 1, path);
        assert.ok(blocks.every((block) => block.active && !block.unreadable && block.rows === block.entries));
        assert.deepEqual(blocks.flatMap(rowsOf), found, path);
        rows += found.length;
      }
    }
  }
  assert.ok(rows > 2000, `${rows} rows`);
});

test('hexadecimal keys are numbers of 64 bits', () => {
  const { keys, columns } = only(MMIO);
  assert.deepEqual(keys, ['common_pid', 'type', 'gpa']);
  assert.ok(columns.includes(0xfec00000) && columns.includes(0xfebf8010));
});

test('a trigger may be paused, have a name, variables, actions and a filter', () => {
  const trigger =
    'hist:lat:keys=p=common_pid,$x.hex:vals=hitcount,lat.hex:ts0=common_timestamp,$y=next:sort=hitcount:size=4096' +
    ':clock=global:onmatch(kvm.kvm_exit).trace(kvm_exit_lat,$p0,$r0,$lat) if comm == ":onmax [active]"';
  const row = `{ common_pid: ${decimal(1)}, x: ff } hitcount: ${decimal(2)}  lat: ${'1f'.padStart(10)}`;
  const block = only(rendered(`${trigger} [paused]`, [row]));
  assert.deepEqual([block.trigger, block.active, block.unreadable], [trigger, false, false]);
  assert.deepEqual(
    [block.keys, block.values],
    [
      ['common_pid', 'x'],
      ['hitcount', 'lat'],
    ],
  );
  assert.deepEqual(rowsOf(block), [[1, 255, 2, 31]]);
});

test('an empty file has no histogram, an empty histogram no rows', () => {
  assert.deepEqual(parseHist(''), []);
  const block = only(
    rendered('hist:keys=pid:vals=hitcount:sort=hitcount:size=2048 [active]', [], totals(3, 0, 3)),
  );
  assert.deepEqual([block.rows, block.columns.length, block.unreadable], [0, 0, false]);
  assert.deepEqual([block.hits, block.entries, block.dropped], [3, 0, 3]);
});

test('numbers above 2^53 are rounded; numbers with more digits than 64 bits are refused', () => {
  const u64 = rendered('hist:keys=a,b.hex:vals=hitcount:sort=hitcount:size=2048 [active]', [
    `{ a: 18446744073709551615, b: ffffffffffffffff } hitcount: ${decimal(1)}`,
  ]);
  assert.deepEqual(rowsOf(only(u64)), [[2 ** 64, 2 ** 64, 1]]);
  assert.throws(() => parseHist(u64.replace('18446744073709551615', '9'.repeat(21))), malformed);
  assert.throws(() => parseHist(u64.replace('ffffffffffffffff', 'f'.repeat(17))), malformed);
});

test('a key or value that is not a number invalidates its block, but not the totals and other blocks', () => {
  const rowsByTrigger: readonly (readonly [string, string])[] = [
    [
      'keys=common_pid.execname:vals=hitcount',
      `{ common_pid: qemu            [       254] } hitcount: ${decimal(7)}`,
    ],
    ['keys=comm:vals=hitcount', named('CPU 0/KVM')],
    [
      'keys=comm,pid:vals=hitcount',
      `{ comm: ${'qemu'.padEnd(50)}, pid: ${decimal(1)} } hitcount: ${decimal(7)}`,
    ],
    [
      'keys=pid,comm:vals=hitcount',
      `{ pid: ${decimal(1)}, comm: ${'1'.padEnd(50)} } hitcount: ${decimal(7)}`,
    ],
    ['keys=gpa.hex,comm:vals=hitcount', `{ gpa: ff, comm: ${'1'.padEnd(50)} } hitcount: ${decimal(7)}`],
    ['keys=id.syscall:vals=hitcount', `{ id: ${'sys_read'.padEnd(30)}[  0] } hitcount: ${decimal(7)}`],
    ['keys=ip.sym:vals=hitcount', `{ ip: [ffffffff81000000] ${'start'.padEnd(45)} } hitcount: ${decimal(7)}`],
    [
      'keys=stack.stacktrace:vals=hitcount',
      `{ stack.stacktrace\n         a+0x1/0x2\n} hitcount: ${decimal(7)}`,
    ],
    ['keys=ns.buckets=10:vals=hitcount', `{ ns: ~ 10-19 } hitcount: ${decimal(7)}`],
    ['keys=pid:vals=hitcount,ns.percent', `{ pid: ${decimal(1)} } hitcount: ${decimal(7)}  ns (%):  99.00`],
    [
      'keys=pid:vals=hitcount,ns.graph',
      `{ pid: ${decimal(1)} } hitcount: ${decimal(7)}  ns: ${'#'.repeat(20)}`,
    ],
    ['keys=pid:vals=ns', `{ pid: ${decimal(1)} }  ns: ${decimal(7)}`],
    ['keys=pid:vals=,ns', `{ pid: ${decimal(1)} }  ns: ${decimal(7)}`],
    ['keys=kvm.kvm_exit.a:vals=hitcount', `{ kvm.kvm_exit.a: ${decimal(1)} } hitcount: ${decimal(7)}`],
  ];
  for (const [fields, row] of rowsByTrigger) {
    const text = rendered(`hist:${fields}:sort=hitcount:size=2048 [active]`, [row, row], totals(14, 2, 1));
    const [before, block, after] = parseHist(joined(PIDS, text, PIDS));
    assert.ok(block !== undefined);
    assert.deepEqual([block.unreadable, block.rows, block.columns.length], [true, 0, 0], fields);
    assert.deepEqual([block.hits, block.entries, block.dropped], [14, 2, 1], fields);
    assert.deepEqual([before, after], [only(PIDS), only(PIDS)], fields);
  }
});

test('a handler that prints its own lines invalidates the block', () => {
  const row = `{ pid: ${decimal(1)} } hitcount: ${decimal(7)}\n\tmax: ${decimal(9)}  next_comm: qemu`;
  for (const handler of ['onmax($lat).save(next_comm)', 'onchange($lat).snapshot()']) {
    const block = only(
      rendered(`hist:keys=pid:vals=hitcount:sort=hitcount:size=2048:${handler} [active]`, [row]),
    );
    assert.deepEqual([block.unreadable, block.rows, block.hits], [true, 0, 7]);
  }
});

test('a thread name cannot forge rows, totals or a block, and cannot break the file', () => {
  const names = fc.oneof(
    fc.constantFrom(
      ...[
        '\nTotals:\n    Hi',
        '\n    Hits: 9999',
        'Totals:',
        '\n\n\n# event his',
        '} hitcount: 9',
        '\n{ comm: 1 } hi',
      ],
      ...[
        '         1 } hi',
        '         1',
        '123456789012345',
        '         1, x: ',
        '\n\n',
        ' } hitcount: ',
        '#\n\n# event h',
      ],
      ...['', ' ', '\xff\xfe\x80', 'x, pid: 1', '\n    Entries: 0', '\n    Dropped: 9'],
    ),
    fc.string({ unit: fc.constantFrom(...'\n {}:,#1 xTotalsHi'), maxLength: 15 }),
  );
  const [pids] = parseHist(PIDS);
  fc.assert(
    fc.property(
      fc.array(names, { minLength: 1, maxLength: 5 }),
      fc.array(names, { maxLength: 3 }),
      (a, b) => {
        const text = joined(
          PIDS,
          rendered(
            BY_NAME,
            a.map((name) => named(name)),
          ),
          rendered(
            BY_NAME.replace('comm', 'comm,x'),
            b.map((name) => named(name).replace(/ \} (hitcount: +7)$/, `, x: ${decimal(5)} } $1`)),
          ),
          PIDS,
        );
        const blocks = parseHist(text);
        assert.equal(blocks.length, 4);
        assert.deepEqual([blocks[0], blocks[3]], [pids, pids]);
        assert.deepEqual([blocks[1]?.unreadable, blocks[1]?.rows, blocks[1]?.entries], [true, 0, a.length]);
        assert.deepEqual([blocks[2]?.unreadable, blocks[2]?.rows], [b.length > 0, 0]);
        assert.deepEqual([blocks[1]?.hits, blocks[2]?.entries], [7, b.length]);
      },
    ),
    { numRuns: 500 },
  );
});

test('a row of numbers is never taken for text', () => {
  // With this name, what follows the key of a row stands where it would if the key of the row before were text.
  const rows = [1, 2, 3].map((value) => `{ rw: ${decimal(value)} } hitcount: ${decimal(value)}`);
  const text = rendered('hist:keys=rw:vals=hitcount:sort=hitcount:size=2048 [active]', rows);
  assert.equal(text.indexOf(' } hitcount', text.indexOf('{ rw: ') + 16 + 1) - text.indexOf('{ rw: ') - 6, 50);
  assert.deepEqual(rowsOf(only(text)), [
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  assert.throws(() => parseHist(text.replace(/3\n/, 'x\n')), malformed);
});

test('a garbled row is refused', () => {
  const latency = '{ pid:        252, reason:        123, lat: ~ 2^19 } hitcount:         28\n';
  for (const [from, to] of [
    ...([
      ['252,', '2x2,'],
      ['252,', '252 ,'],
      ['       252', '252'],
      ['252', ' 252'],
    ] as const),
    ...([
      ['252', '-252'],
      ['{ pid', '{ pib'],
      ['reason', 'season'],
      ['2^19 ', '2^ '],
      ['2^19', '2^9'],
    ] as const),
    ...([
      ['2^19', '2^119'],
      ['2^19', '3^19'],
      ['28\n', '28 \n'],
      ['28\n', ''],
      ['28\n', '28 '],
      ['28', '2b'],
      [' } ', ' '],
    ] as const),
    ...([
      ['        28', '28'],
      [latency, ''],
      [latency, latency + latency],
      [latency, `${latency}\n`],
    ] as const),
  ]) {
    assert.ok(latency.includes(from));
    const text = EXIT_LATENCY.replace(latency, latency.replace(from, to));
    assert.notEqual(text, EXIT_LATENCY);
    assert.throws(() => parseHist(text), malformed, `${from} -> ${to}`);
  }
});

test('a garbled first row is refused because its width is wrong', () => {
  for (const [from, to] of [
    ...([
      ['254 }', '2x4 }'],
      ['254 }', 'qemu }'],
      ['{ pid', '{ bid'],
      ['3\n{', 'x\n{'],
    ] as const),
  ]) {
    assert.ok(PIDS.includes(from));
    assert.throws(() => parseHist(PIDS.replace(from, to)), malformed, to);
  }
});

test('text in place of numbers, or the reverse, is refused', () => {
  const [first = '', second = ''] = PIDS.split('\n').filter((line) => line.startsWith('{'));
  const text = named('qemu').replace('comm', 'pid');
  assert.ok(only(PIDS.replace(first, text)).unreadable);
  assert.throws(() => parseHist(PIDS.replace(second, text)), malformed);
  assert.throws(() => parseHist(rendered(BY_NAME, [named('qemu').replace('comm', 'xomm')])), malformed);
  assert.throws(() => parseHist(rendered(BY_NAME.replace('comm', 'comm.hex'), [named('qemu')])), malformed);
});

test('an exponent of one digit is followed by a space', () => {
  assert.throws(() => parseHist(HALT_POLL.replace('2^0  }', '2^0x }')), malformed);
  assert.throws(() => parseHist(HALT_POLL.replace('2^0  }', '2^0 }')), malformed);
});

test('a header or totals that the kernel does not print are refused', () => {
  for (const [from, to] of [
    ...([
      ['# event', '# Event'],
      ['[active]', '[passive]'],
      [' [active]', ''],
      ['hist:keys', 'hist:cheese'],
    ] as const),
    ...([
      ['vals=', 'values='],
      ['#\n\n', '#\n'],
      ['Hits: 7', 'Hits: -7'],
      ['Hits: 7', 'Hits: x'],
    ] as const),
    ...([
      ['Entries: 2', 'Entries: 1'],
      ['Entries: 2', 'Entries: 3'],
      ['Entries: 2', `Entries: ${'9'.repeat(20)}`],
    ] as const),
    ...([
      ['Dropped: 0\n', 'Dropped: 0'],
      ['Dropped: 0\n', 'Dropped: 0\n\n'],
      ['    Dropped: 0\n', ''],
    ] as const),
  ]) {
    assert.ok(PIDS.includes(from));
    assert.throws(() => parseHist(PIDS.replace(from, to)), malformed, `${from} -> ${to}`);
  }
  assert.throws(() => parseHist(`${PIDS}${PIDS}`), malformed);
  assert.throws(() => parseHist(`\n\n${PIDS}`), malformed);
});

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const field = fc
  .tuple(
    fc.stringMatching(/^[a-z_]{1,12}$/),
    fc.constantFrom('', '.hex', '.log2'),
    fc.array(u64, { minLength: 6, maxLength: 6 }),
  )
  .map(([name, modifier, numbers]) => ({
    name,
    modifier,
    numbers: modifier === '.log2' ? numbers.map((n) => n % 65n) : numbers,
  }));
const block = fc.record({
  keys: fc.array(field, { minLength: 1, maxLength: 3 }),
  sums: fc.array(
    field.filter(({ modifier }) => modifier !== '.log2'),
    { maxLength: 2 },
  ),
  hitcounts: fc.array(u64, { maxLength: 6 }),
  active: fc.boolean(),
  totals: fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()),
});

test('printed values are read back unchanged', () => {
  fc.assert(
    fc.property(fc.array(block, { maxLength: 4 }), (blocks) => {
      const text = joined(
        ...blocks.map(({ keys, sums, hitcounts, active, totals: [hits, dropped] }) => {
          const spell = (fields: typeof keys) => fields.map(({ name, modifier }) => `${name}${modifier}`);
          const rows = hitcounts.map((hitcount, row) => {
            const key = keys.map(({ name, modifier, numbers }) => {
              const number = numbers[row] ?? 0n;
              if (modifier === '.hex') return `${name}: ${number.toString(16)}`;
              return modifier === ''
                ? `${name}: ${decimal(number)}`
                : `${name}: ~ 2^${String(number).padEnd(2)}`;
            });
            const sum = sums.map(({ name, modifier, numbers }) => {
              const number = numbers[row] ?? 0n;
              return `  ${name}: ${modifier === '' ? decimal(number) : number.toString(16).padStart(10)}`;
            });
            return `{ ${key.join(', ')} } hitcount: ${decimal(hitcount)}${sum.join('')}`;
          });
          const trigger = `hist:keys=${spell(keys)}:vals=${['hitcount', ...spell(sums)]}:sort=hitcount:size=2048`;
          return rendered(
            `${trigger} [${active ? 'active' : 'paused'}]`,
            rows,
            totals(hits, rows.length, dropped),
          );
        }),
      );
      const read = parseHist(text);
      assert.deepEqual(
        read.map((one) => [
          one.keys,
          one.values,
          one.active,
          one.unreadable,
          one.hits,
          one.entries,
          one.dropped,
        ]),
        blocks.map(({ keys, sums, hitcounts, active, totals: [hits, dropped] }) => [
          keys.map(({ name }) => name),
          ['hitcount', ...sums.map(({ name }) => name)],
          active,
          false,
          hits,
          hitcounts.length,
          dropped,
        ]),
      );
      for (const [i, { keys, sums, hitcounts }] of blocks.entries()) {
        const rows = rowsOf(read[i] as HistBlock);
        for (const [row, hitcount] of hitcounts.entries()) {
          const numbers = [
            ...keys.map((key) => key.numbers[row]),
            hitcount,
            ...sums.map((sum) => sum.numbers[row]),
          ];
          for (const [column, number] of numbers.entries()) {
            const got = rows[row]?.[column] ?? Number.NaN;
            const want = Number(number);
            assert.ok(Math.abs(got - want) <= want * 2 ** -50, `${got} for ${number}`);
            assert.ok(want > 2 ** 53 || got === want);
          }
        }
      }
    }),
  );
});

test('a histogram is read from a host, up to a cap', () => {
  const host = capturedHost();
  const path = `${host.roots.tracefs}/instances/x/events/kvm/kvm_halt_poll_ns/hist`;
  assert.deepEqual(readHist(host, path), parseHist(HALT_POLL));
  assert.throws(() => readHist(host, path, 100), { name: 'SourceError', kind: 'too_large' });
  assert.throws(() => readHist(host, `${path}y`), { name: 'SourceError', kind: 'absent' });
});

test('a truncated file has fewer histograms or is refused; the remaining ones are correct', () => {
  const whole = parseHist(HALT_POLL);
  let read = 0;
  for (let end = 0; end < HALT_POLL.length; end++) {
    const blocks = outcome(parseHist, HALT_POLL.slice(0, end));
    if (blocks === undefined) continue;
    assert.deepEqual(blocks, whole.slice(0, blocks.length));
    read++;
  }
  assert.equal(read, 2);
});

testRobustness('parseHist', parseHist, [
  HALT_POLL,
  MMIO,
  joined(PIDS, rendered(BY_NAME, [named('CPU 0/KVM'), named('qemu')]), PIDS),
]);
