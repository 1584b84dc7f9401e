import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cpuListOf,
  expectationOf,
  libvirtIdOf,
  matchesGlob,
  type PinningRule,
} from '../../../exporter/model/affinity.ts';
import type { Role } from '../../../exporter/model/roles.ts';
import { formatCpuList } from '../../../probes/cpu-list.ts';
import type { LibvirtPins } from '../../../probes/libvirt-domain.ts';
import { cpuMs } from '../../../testing/patience.ts';

const VM = { name: 'web-1' };
const PINS: LibvirtPins = {
  vcpus: new Map([[0, [1]]]),
  iothreads: new Map([[2, [5]]]),
  emulator: [0],
};

function thread(label: string): { role: Role; label: string } {
  return { role: (/^[a-z]+/.exec(label)?.[0] ?? 'other') as Role, label };
}

function expected(label: string, rules: readonly PinningRule[] = []) {
  return expectationOf(thread(label), VM, rules, PINS, [9]);
}

test('the configuration goes before libvirt, and libvirt before the baseline', () => {
  const rules = [{ vm: 'web-*', thread: 'vcpu*', cpus: [3] }];
  assert.deepEqual(expected('vcpu0', rules), { cpus: [3], source: 'config' });
  assert.deepEqual(expected('vcpu0'), { cpus: [1], source: 'libvirt' });
  assert.deepEqual(expected('vcpu1'), { cpus: [9], source: 'baseline' });
  assert.equal(expectationOf(thread('vcpu1'), VM, [], PINS, undefined), undefined);
  assert.equal(expectationOf(thread('vcpu0'), VM, [], undefined, undefined), undefined);
});

test('of several rules that fit the first holds', () => {
  const rule = (vm: string, name: string, cpu: number) => ({ vm, thread: name, cpus: [cpu] });
  const rules = [
    rule('db-*', '*', 1),
    rule('web-?', 'vcpu1', 2),
    rule('*', 'vcpu*', 3),
    rule('web-1', '*', 4),
  ];
  assert.deepEqual(
    ['vcpu0', 'vcpu1', 'emulator'].map((label) => expected(label, rules)?.cpus),
    [[3], [2], [4]],
  );
});

test("libvirt's pins reach IOThreads by their number and the emulator, and nobody else", () => {
  assert.deepEqual(expected('iothread:iothread2')?.cpus, [5]);
  assert.deepEqual(expected('emulator')?.cpus, [0]);
  for (const label of ['iothread:2', 'iothread:io2', 'iothread:iothread3', 'vhost0', 'sqpoll0', 'monitor']) {
    assert.equal(expected(label)?.source, 'baseline', label);
  }
  assert.equal(libvirtIdOf('vhost', 'vhost0'), undefined);
  assert.equal(libvirtIdOf('vcpu', 'vcpus'), undefined);
});

test('globs match the whole text', () => {
  for (const [pattern, text] of [
    ...[
      ['*', ''],
      ['*', 'a'],
      ['', ''],
      ['a?c', 'abc'],
      ['iothread:*', 'iothread:io0'],
      ['*-db', 'a-db-db'],
    ],
    ...[
      ['a*b*c', 'a1b2b3c'],
      ['**', 'x'],
      ['v.*', 'v.1'],
      ['[a]', '[a]'],
      ['*?', 'a'],
    ],
  ] as [string, string][]) {
    assert.equal(matchesGlob(pattern, text), true, `${pattern} ${text}`);
  }
  for (const [pattern, text] of [
    ...[
      ['', 'a'],
      ['a', ''],
      ['a', 'ab'],
      ['b', 'ab'],
      ['?', ''],
      ['a*b', 'abc'],
      ['v.1', 'vx1'],
      ['A', 'a'],
    ],
    ...[
      ['*?', ''],
      ['a?', 'a'],
      ['[a]', 'a'],
    ],
  ] as [string, string][]) {
    assert.equal(matchesGlob(pattern, text), false, `${pattern} ${text}`);
  }
});

test('globs agree with the regular expression that they stand for', () => {
  const letters = (...choice: string[]) => fc.array(fc.constantFrom(...choice), { maxLength: 7 });
  fc.assert(
    fc.property(letters('a', 'b', '*', '?'), letters('a', 'b'), (pattern, text) => {
      const expression = pattern.map((part) => ({ '*': '.*', '?': '.' })[part] ?? part).join('');
      assert.equal(
        matchesGlob(pattern.join(''), text.join('')),
        new RegExp(`^${expression}$`).test(text.join('')),
      );
    }),
    { numRuns: 2000 },
  );
});

test('a pattern that defeats regular expressions comes to an end', async () => {
  const ms = await cpuMs(() => assert.equal(matchesGlob(`${'*a'.repeat(50)}*b`, 'a'.repeat(5000)), false));
  assert.ok(ms < 5000, `${ms} ms`);
});

test('CPUs are written as the kernel writes them', () => {
  const cpus = fc.uniqueArray(fc.nat(80), { maxLength: 60 });
  fc.assert(
    fc.property(cpus, (list) => {
      list.sort((a, b) => a - b);
      assert.equal(cpuListOf(list), formatCpuList(list));
    }),
  );
  assert.equal(cpuListOf([0, 1, 2, 8]), '0-2,8');
});
