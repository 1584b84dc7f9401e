import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { parseEventFormat, readEventFormat } from '../../probes/tracefs-format.ts';
import { captured, capturedHost } from '../../testing/captured.ts';
import { KVM_EXIT_ARM64 } from '../../testing/tracepoint-formats.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const FORMATS = fileURLToPath(new URL('../../../test/fixtures/tracepoint-formats-6.18/', import.meta.url));
const newer = (event: string): string => readFileSync(`${FORMATS}${event}.format`, 'latin1');
const older = (event: string): string => captured(`sys/kernel/tracing/events/${event}/format`);
const KVM_EXIT = newer('kvm.kvm_exit');
const COMMON =
  '\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n' +
  '\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n';

const withPrint = (print: string): string => `name: x\nID: 1\nformat:\n${COMMON}\nprint fmt: ${print}\n`;
const tablesOf = (print: string) =>
  parseEventFormat(withPrint(print)).symbols.map(({ field, mask, names }) => [field, mask, [...names]]);

test('name, number and fields of a captured event are read', () => {
  const { name, id, fields } = parseEventFormat(newer('sched.sched_switch'));
  assert.deepEqual([name, id], ['sched_switch', 372]);
  assert.deepEqual(
    [...fields.keys()],
    [
      'common_type',
      'common_flags',
      'common_preempt_count',
      'common_pid',
      'prev_comm',
      'prev_pid',
      'prev_prio',
      'prev_state',
      'next_comm',
      'next_pid',
      'next_prio',
    ],
  );
  assert.deepEqual(fields.get('common_type'), { type: 'unsigned short', offset: 0, size: 2, signed: false });
  assert.deepEqual(fields.get('prev_comm'), { type: 'char[16]', offset: 8, size: 16, signed: false });
  assert.deepEqual(fields.get('prev_state'), { type: 'long', offset: 32, size: 8, signed: true });
});

test('pointers and dynamic arrays are fields as well', () => {
  const { fields } = parseEventFormat(newer('lock.contention_begin'));
  assert.deepEqual(fields.get('lock_addr'), { type: 'void *', offset: 8, size: 8, signed: false });
  const cmd = parseEventFormat(newer('block.block_rq_issue')).fields.get('cmd');
  assert.deepEqual(cmd, { type: '__data_loc char[]', offset: 60, size: 4, signed: false });
});

test('the length of an array may be an expression, and a pointer may be next to the name', () => {
  const text = withPrint('"x"').replace('int common_pid', 'const char *names[(2 * 4)]');
  assert.equal(parseEventFormat(text).fields.get('names')?.type, 'const char *[(2 * 4)]');
});

test('every captured format is read, and its fields do not overlap', () => {
  const all = readdirSync(FORMATS).map((file) => file.replace('.format', ''));
  assert.ok(all.length >= 20);
  for (const event of all) {
    const { name, fields } = parseEventFormat(newer(event));
    assert.equal(name, event.split('.')[1]);
    let end = 0;
    for (const { offset, size } of fields.values()) {
      assert.ok(offset >= end && size > 0, event);
      end = offset + size;
    }
  }
});

test('the exit reasons of VMX and SVM are two tables, in this order', () => {
  for (const text of [KVM_EXIT, older('kvm/kvm_exit')]) {
    const [vmx, svm, ...others] = parseEventFormat(text).symbols;
    assert.deepEqual(others, []);
    assert.deepEqual([vmx?.field, vmx?.mask], ['exit_reason', 0xffff]);
    assert.deepEqual([svm?.field, svm?.mask], ['exit_reason', undefined]);
    assert.deepEqual(
      [0, 12, 48, 75, 5].map((reason) => vmx?.names.get(reason)),
      ['EXCEPTION_NMI', 'HLT', 'EPT_VIOLATION', 'NOTIFY', undefined],
    );
    assert.deepEqual(
      [0, 0x40, 0x4e, 0x78, 0x400, 0x8000fffd, 0xffffffff].map((reason) => svm?.names.get(reason)),
      ['read_cr0', 'DE excp', 'PF excp', 'hlt', 'npf', 'vmgexit_hypervisor_feature', 'invalid_guest_state'],
    );
  }
  const counts = (text: string) => parseEventFormat(text).symbols.map(({ names }) => names.size);
  assert.deepEqual(counts(KVM_EXIT), [65, 110]);
});

test('parts of a name are joined', () => {
  const [table] = parseEventFormat(newer('kvm.kvm_userspace_exit')).symbols;
  assert.deepEqual([table?.field, table?.names.size], ['reason', 31]);
  assert.deepEqual([table?.names.get(0), table?.names.get(30)], ['KVM_EXIT_UNKNOWN', 'KVM_EXIT_X86_WRMSR']);
});

test('the tables of arm64 are read', () => {
  const { symbols, fields } = parseEventFormat(KVM_EXIT_ARM64);
  assert.ok(fields.has('esr_ec') && !fields.has('exit_reason'));
  assert.deepEqual(
    symbols.map(({ field, mask, names }) => [field, mask, [...names]]),
    [
      [
        'ret',
        undefined,
        [
          [0, 'IRQ'],
          [1, 'SERROR'],
          [2, 'TRAP'],
          [0xbadca11, 'HYP_GONE'],
        ],
      ],
      [
        'esr_ec',
        undefined,
        [
          [0, 'UNKNOWN'],
          [1, 'WFx'],
          [0x16, 'HVC64'],
          [0x24, 'DABT_LOW'],
        ],
      ],
    ],
  );
});

test('values are evaluated as C does', () => {
  const entry = (value: string) => tablesOf(`"%s", __print_symbolic(REC->a, { ${value}, "n" })`)[0]?.[2];
  for (const [text, value] of [
    ...([
      ['0x060', 0x60],
      ['0X7F', 127],
      ['12UL', 12],
      ['(7)', 7],
      ['0', 0],
    ] as const),
    ...([
      ['0x040 + 14', 78],
      ['((0x40) + (1))', 65],
      ['(1U << 3)', 8],
      ['1ULL<<40', 2 ** 40],
    ] as const),
    ...([
      ['-1', 0xffffffff],
      ['(-2)', 0xfffffffe],
      ['-2147483648', 0x80000000],
    ] as const),
  ]) {
    assert.deepEqual(entry(text), [[value, 'n']], text);
  }
});

test('a value that cannot be evaluated is ignored; the others stay', () => {
  for (const bad of [
    'IOPRIO_CLASS_RT',
    '010',
    '1 - 2',
    '-1 + 2',
    '1 << 60',
    '~0',
    '',
    '1 + 2 + 3',
    '-0x80000001',
  ]) {
    const print = `"%s", __print_symbolic(REC->a, { 1, "one" }, { ${bad}, "bad" }, { 2, "two" })`;
    const names = [
      [1, 'one'],
      [2, 'two'],
    ];
    assert.deepEqual(tablesOf(print), [['a', undefined, names]], bad);
  }
});

test('expressions other than a table of a field, or of a field and a mask, are ignored', () => {
  assert.deepEqual(parseEventFormat(newer('block.block_rq_issue')).symbols, []);
  assert.deepEqual(parseEventFormat(newer('lock.contention_begin')).symbols, []);
  assert.deepEqual(tablesOf('"%s", __print_symbolic(REC->a >> 3, { 1, "one" })'), []);
  assert.deepEqual(tablesOf('"%s", __print_symbolic(REC->a & 7, { 1, "one" })'), [['a', 7, [[1, 'one']]]]);
});

test('if a value has two names, the first is used, as in the kernel', () => {
  assert.deepEqual(tablesOf('"%s", __print_symbolic(REC->a, { 1, "one" }, { 0x1, "uno" })'), [
    ['a', undefined, [[1, 'one']]],
  ]);
});

test('a format without header, print format or end is refused, and so is an unknown field', () => {
  for (const [from, to] of [
    ...([
      ['name: ', 'nome: '],
      ['ID: 103', 'ID: x'],
      ['format:', 'fmt:'],
      ['\nprint fmt:', '\nfmt:'],
    ] as const),
    ...([
      ['offset:8;', 'offset:-8;'],
      ['size:4;', 'size:;'],
      ['signed:0;', 'signed:2;'],
    ] as const),
    ...([
      ['field:u32 isa', 'field:isa'],
      ['field:u32 isa', 'u32 isa'],
      ['u32 isa', 'u32 i.a'],
    ] as const),
  ]) {
    assert.ok(KVM_EXIT.includes(from));
    assert.throws(() => parseEventFormat(KVM_EXIT.replace(from, to)), malformed, to);
  }
  assert.throws(() => parseEventFormat(KVM_EXIT.trimEnd()), malformed);
  assert.throws(() => parseEventFormat(''), malformed);
});

test('printed formats are read back unchanged, whatever the names', () => {
  const name = fc.string({ unit: fc.constantFrom(...'aZ_ "\\{},();:'), maxLength: 12 });
  const table = fc.record({
    field: fc.stringMatching(/^[a-z_]{1,10}$/),
    mask: fc.option(fc.nat(), { nil: undefined }),
    names: fc.dictionary(fc.nat().map(String), name, { minKeys: 1, maxKeys: 8, noNullPrototype: true }),
  });
  fc.assert(
    fc.property(fc.array(table, { maxLength: 4 }), (written) => {
      const prints = written.map(({ field, mask, names }) => {
        const entries = Object.entries(names).map(
          ([value, word]) => `{ ${value}, "${word.replace(/["\\]/g, '\\$&')}" }`,
        );
        return `__print_symbolic(REC->${field}${mask === undefined ? '' : ` & ${mask}`}, ${entries.join(', ')})`;
      });
      assert.deepEqual(
        tablesOf(`"%s", ${prints.join(', ')}`),
        written.map(({ field, mask, names }) => [
          field,
          mask,
          Object.entries(names).map(([value, word]) => [Number(value), word]),
        ]),
      );
    }),
  );
});

test('a format is read from a host, and an event that the kernel lacks is absent', () => {
  const host = capturedHost();
  assert.equal(readEventFormat(host, 'kvm', 'kvm_exit').id, 1440);
  assert.throws(() => readEventFormat(host, 'kvm', 'kvm_nothing'), { name: 'SourceError', kind: 'absent' });
});

testRobustness('parseEventFormat', parseEventFormat, [KVM_EXIT, KVM_EXIT_ARM64, newer('sched.sched_switch')]);
testCutIsNeverMisread('parseEventFormat', parseEventFormat, newer('kvm.kvm_mmio'));
