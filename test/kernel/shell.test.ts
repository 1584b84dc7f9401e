import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { shellWord } from '../../kernel/shell.ts';

test('a word that needs no quotes has none', () => {
  assert.equal(shellWord('iothread:io0=3-5'), 'iothread:io0=3-5');
  assert.equal(shellWord("o'brien; reboot"), "'o'\\''brien; reboot'");
  assert.equal(shellWord(''), "''");
});

test('a shell takes any name as it is', () => {
  const names = fc.array(fc.string({ unit: fc.constantFrom(...'ab \'"$`\\;&|<>(){}*?[]!#~\n\té') }), {
    minLength: 1,
    maxLength: 50,
  });
  fc.assert(
    fc.property(names, (all) => {
      const script = all.map((name) => `printf '%s\\0' ${shellWord(name)}`).join('\n');
      assert.deepEqual(
        execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1),
        all,
      );
    }),
    { numRuns: 20 },
  );
});
