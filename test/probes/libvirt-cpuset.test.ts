import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatCpuList } from '../../kernel/cpu-list.ts';
import { parseCpuList } from '../../probes/cpu-list.ts';
import { parseLibvirtCpuset } from '../../probes/libvirt-cpuset.ts';
import { testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };

test('numbers, ranges and exclusions are read', () => {
  assert.deepEqual(parseLibvirtCpuset('1-4,^2'), [1, 3, 4]);
  assert.deepEqual(parseLibvirtCpuset('0'), [0]);
  assert.deepEqual(parseLibvirtCpuset('7,0-1,1,65535'), [0, 1, 7, 65_535]);
  assert.deepEqual(parseLibvirtCpuset('5-5,007'), [5, 7]);
});

test('parts apply in order: an exclusion affects only preceding parts', () => {
  assert.deepEqual(parseLibvirtCpuset('^2,1-4'), [1, 2, 3, 4]);
  assert.deepEqual(parseLibvirtCpuset('1-4,^2,2'), [1, 2, 3, 4]);
  assert.deepEqual(parseLibvirtCpuset('1-4,^9'), [1, 2, 3, 4]);
});

test('spaces are allowed where libvirt skips them, and a comma at the end', () => {
  assert.deepEqual(parseLibvirtCpuset(' \t1 - 3 , ^2 ,\n8 '), [1, 3, 8]);
  assert.deepEqual(parseLibvirtCpuset('1-3, '), [1, 2, 3]);
});

test('a mask of 512 CPUs is read, in ranges and in single numbers', () => {
  const all = Array.from({ length: 512 }, (_, cpu) => cpu);
  assert.deepEqual(parseLibvirtCpuset('0-511'), all);
  assert.deepEqual(parseLibvirtCpuset(all.join(',')), all);
  const odd = all.filter((cpu) => cpu % 2 === 1);
  assert.deepEqual(parseLibvirtCpuset(`0-511,${odd.map((cpu) => `^${cpu - 1}`).join(',')}`), odd);
});

for (const text of [
  '',
  ' ',
  ',',
  ',1',
  '1,,2',
  '-',
  '1-',
  '-1',
  '3-1',
  '^',
  '^1',
  '1,^1',
  '1,^ 1',
  '1-4,^2-3',
  '^^1',
  'x',
  '0x1',
  '1.5',
  '1 2',
  '1-3-5',
  '1-+3',
  '+1',
  '1;2',
  '1\0',
  '１',
  '1\v,2',
  '65536',
  '0-65536',
  '99999999999',
  '9'.repeat(400),
  `${'1,'.repeat(40_000)}1`,
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is not a CPU set`, () => {
    assert.throws(() => parseLibvirtCpuset(text), malformed);
  });
}

test('lists written by the kernel are parsed identically', () => {
  const cpus = fc.uniqueArray(fc.integer({ min: 0, max: 600 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(cpus, (list) => {
      const text = formatCpuList(list.sort((a, b) => a - b));
      assert.deepEqual(parseLibvirtCpuset(text), parseCpuList(text));
    }),
  );
});

test('any sequence of parts gives the same result as set operations', () => {
  const part = fc.record({
    not: fc.boolean(),
    first: fc.integer({ min: 0, max: 40 }),
    more: fc.integer({ min: 0, max: 8 }),
  });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 12 }), (parts) => {
      const expected = new Set<number>([99]);
      const texts = ['99'];
      for (const { not, first, more } of parts) {
        texts.push(not ? `^${first}` : `${first}-${first + more}`);
        if (not) expected.delete(first);
        else for (let cpu = first; cpu <= first + more; cpu++) expected.add(cpu);
      }
      assert.deepEqual(
        parseLibvirtCpuset(texts.join(' , ')),
        [...expected].sort((a, b) => a - b),
      );
    }),
  );
});

testRobustness('parseLibvirtCpuset', parseLibvirtCpuset, ['1-4,^2', ' 0-511 , ^3, 600\n']);
