import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printable } from '../../probes/printable.ts';

test('control characters are escaped, and nothing else changes', () => {
  assert.equal(printable('\u001b[31mred\u0007\n'), '\\u{1b}[31mred\\u{7}\\u{a}');
  assert.equal(printable('\u009b\u007f\u202e\ud800\u{e0001}'), '\\u{9b}\\u{7f}\\u{202e}\\u{d800}\\u{e0001}');
  assert.equal(printable('wéb-1 "数" 😀 \\u{1b}'), 'wéb-1 "数" 😀 \\u{1b}');
  assert.equal(printable(''), '');
});
