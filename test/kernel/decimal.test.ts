import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decimalAt, decimalEnd, wholeDecimal } from '../../kernel/decimal.ts';

test('a number ends with its digits', () => {
  assert.equal(decimalAt('cpu 42 7', 4), 42);
  assert.equal(decimalEnd('cpu 42 7', 4), 6);
  assert.equal(decimalEnd('cpu 42 7', 3), 3);
  assert.equal(decimalAt('', 0), 0);
  assert.equal(decimalEnd('7', 1), 1);
  for (const after of [' 3', '/3', ':3', '-3']) assert.equal(decimalAt(`42${after}`, 0), 42, after);
});

test('the largest 64-bit number is rounded to a float64', () => {
  assert.equal(decimalAt('18446744073709551615', 0), 2 ** 64);
  assert.equal(wholeDecimal('18446744073709551615\n'), 2 ** 64);
  assert.equal(wholeDecimal('9007199254740993'), 9007199254740992);
});

test('a run of digits longer than any 64-bit number ends after twenty, so that its reader refuses it', () => {
  assert.equal(decimalEnd('9'.repeat(400), 0), 20);
  assert.ok(Number.isFinite(decimalAt('9'.repeat(400), 0)));
  assert.equal(wholeDecimal('9'.repeat(21)), undefined);
});

test('only a whole unsigned decimal is one', () => {
  assert.equal(wholeDecimal(' 17\n'), 17);
  for (const text of ['', ' ', '-1', '+1', '1 2', '0x1', '1e3', '1.5', 'NaN', 'Infinity', '\0', '1\0']) {
    assert.equal(wholeDecimal(text), undefined, JSON.stringify(text));
  }
});

test('every number that float64 holds is read exactly', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (n) => assert.equal(wholeDecimal(`${n}`), n)));
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (n) => {
      const relative = Math.abs((wholeDecimal(`${n}`) ?? Number.NaN) - Number(n)) / Math.max(1, Number(n));
      assert.ok(relative < 1e-14);
    }),
  );
});
