import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lastTraceError, readTraceErrorLog } from '../../probes/tracefs-error-log.ts';
import { capturedHost } from '../../testing/captured.ts';
import { testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };

function entry(what: string, command: string, column: number, stamp = '[  117.404795]'): string {
  return `${stamp} ${what}\n  Command: ${command}\n${' '.repeat('  Command: '.length + column)}^\n`;
}

// From the message of the kernel's commit 3357c6e42964.
const FIELD =
  "[  117.404795] hist:sched:sched_switch: error: Couldn't find field\n" +
  '  Command: hist:keys=x\n                     ^\n';
const EXISTS = entry('hist:kvm:kvm_exit: error: Hist trigger already exists', 'hist:keys=common_pid', 0);
const FILTER =
  '[12345.000001] event filter parse error: error: Field not found\n  Command: foo == 1\n           ^\n';

test('the last entry is one line with the word at the caret', () => {
  const told = 'hist:sched:sched_switch: error: Couldn\'t find field at "x"; Command: hist:keys=x';
  assert.equal(lastTraceError(FIELD), told);
  assert.equal(lastTraceError(EXISTS + FILTER + FIELD), told);
});

test('a caret at column 0 points at no word', () => {
  assert.equal(
    lastTraceError(FIELD + EXISTS),
    'hist:kvm:kvm_exit: error: Hist trigger already exists; Command: hist:keys=common_pid',
  );
  assert.equal(lastTraceError(FILTER), 'event filter parse error: error: Field not found; Command: foo == 1');
});

test('a caret at no word, past the end or in a long command points at nothing', () => {
  const at = (command: string, column: number) => lastTraceError(entry('a: error: b', command, column));
  assert.equal(at('hist:keys=$ts.log3', 10), 'a: error: b at "$ts.log3"; Command: hist:keys=$ts.log3');
  assert.equal(at('hist:keys=,x', 10), 'a: error: b; Command: hist:keys=,x');
  assert.equal(at('hist:keys=x', 11), 'a: error: b; Command: hist:keys=x');
  assert.match(at(`hist:keys=${'x'.repeat(245)}`, 10) ?? '', / at "xxx/);
  assert.doesNotMatch(at(`hist:keys=${'x'.repeat(246)}`, 10) ?? '', / at /);
});

test('no error is none', () => {
  assert.equal(lastTraceError(''), undefined);
});

test('a truncated command without a caret is reported unchanged', () => {
  assert.equal(
    lastTraceError('[    1.000000] a: error: b\n  Command: hist:keys=x'),
    'a: error: b; Command: hist:keys=x',
  );
  assert.equal(lastTraceError('[    1.000000] a: error: b\n'), 'a: error: b');
});

test('text that is not an error log is refused', () => {
  for (const text of ['x', ' ', '\n', '[ 1] a\n', '  Command: x\n   ^\n', `x${FIELD}`]) {
    assert.throws(() => lastTraceError(text), malformed, JSON.stringify(text));
  }
});

test('control characters are escaped', () => {
  const told = lastTraceError(entry('a: error: b', 'x\x1b[2J\x7f\x9b\0\ny', 0));
  assert.equal(told, 'a: error: b; Command: x\\x1b[2J\\x7f\\x9b\\x00\\x0ay');
});

test('a long command is cut', () => {
  const told = lastTraceError(entry('a: error: b', 'x'.repeat(400), 0)) ?? '';
  assert.equal(told, `${`a: error: b; Command: ${'x'.repeat(400)}`.slice(0, 297)}...`);
});

test('any command becomes one line of at most 300 characters', () => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.string({ unit: byte, maxLength: 400 }), fc.nat({ max: 300 }), (command, column) => {
      const told = lastTraceError(entry('a: error: b', command, column)) ?? '';
      assert.match(told, /^a: error: b( at "[\w$.]+")?; Command: [ -~\xa0-\xff]*$/);
      assert.ok(told.length <= 300);
      assert.ok(told.length === 300 || told.length >= 'a: error: b; Command: '.length + command.length);
    }),
  );
});

test('the log of a captured instance is empty', () => {
  const host = capturedHost();
  assert.equal(readTraceErrorLog(host, `${host.roots.tracefs}/instances/x`), undefined);
  const missing = () => readTraceErrorLog(host, `${host.roots.tracefs}/instances/y`);
  assert.throws(missing, { name: 'SourceError', kind: 'absent' });
});

testRobustness('lastTraceError', lastTraceError, [FIELD + EXISTS, FILTER]);
