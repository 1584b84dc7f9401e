import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGone, malformed, SourceError, type SourceErrorKind, sourceError } from '../../probes/errors.ts';

const KINDS: readonly (readonly [string, SourceErrorKind])[] = [
  ['ENOENT', 'absent'],
  ['ENOTDIR', 'absent'],
  ['ESRCH', 'vanished'],
  ['EPERM', 'denied'],
  ['EACCES', 'denied'],
  ['EIO', 'failed'],
  ['EIO', 'failed'],
  ['EMFILE', 'exhausted'],
  ['ENFILE', 'exhausted'],
  ['ERR_INVALID_ARG_VALUE', 'failed'],
];

for (const [code, kind] of KINDS) {
  test(`${code} is of the kind ${kind} and keeps its code`, () => {
    const error = sourceError(Object.assign(new Error('x'), { code }), '/proc/1/stat');
    assert.deepEqual([error.kind, error.path, error.reason, error.code], [kind, '/proc/1/stat', code, code]);
    assert.equal(error.message, `/proc/1/stat: ${code}`);
  });
}

test('a SourceError passes through, and anything else thrown becomes one', () => {
  const error = new SourceError('timeout', '/a', 'late');
  assert.equal(sourceError(error, '/b'), error);
  assert.equal(sourceError('boom', '/b').kind, 'failed');
  assert.equal(sourceError(undefined, '/b').reason, 'undefined');
});

test('the exit status of a child is no code of an error', () => {
  const error = sourceError(Object.assign(new Error('Command failed: x'), { code: 1 }), '/x');
  assert.deepEqual([error.kind, error.reason], ['failed', 'Error: Command failed: x']);
});

test('only errors of an exited owner count as gone', () => {
  const gone = (kind: SourceErrorKind) => isGone(new SourceError(kind, '/a', 'r'));
  assert.deepEqual([gone('absent'), gone('vanished')], [true, true]);
  assert.deepEqual(
    [gone('denied'), gone('failed'), gone('malformed'), gone('timeout')],
    [false, false, false, false],
  );
  assert.equal(isGone(Object.assign(new Error('x'), { code: 'ENOENT' })), false);
});

test('quoted text in errors is truncated and contains no control characters', () => {
  const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
  for (const byte of bytes) {
    const { message } = malformed('/proc/x', `"${byte}`);
    assert.doesNotMatch(message, /\p{Cc}/u, JSON.stringify(byte));
  }
  assert.ok(malformed('/proc/x', 'a'.repeat(1e6)).message.length < 120);
});
