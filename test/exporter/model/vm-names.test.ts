import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignLabels, type NameClaim, TRUST, truncateName } from '../../../exporter/model/vm-names.ts';

function claim(pid: number, name: string, more: Partial<NameClaim> = {}): NameClaim {
  return { key: `${pid}:${pid}`, name, uuid: '', pid, startTime: pid, trust: TRUST.kvm, ...more };
}

function labelsOf(
  claims: readonly NameClaim[],
  previous = new Map<string, string>(),
): (string | undefined)[] {
  const labels = assignLabels(claims, previous);
  return claims.map(({ key }) => labels.get(key));
}

test('if two VMs have one name, the older one gets it', () => {
  assert.deepEqual(labelsOf([claim(20, 'web'), claim(10, 'web')]), ['web~20', 'web']);
});

test('a name from libvirt is never lost to another VM', () => {
  const impostor = claim(10, 'web');
  const real = claim(20, 'web', { trust: TRUST.libvirt });
  assert.deepEqual(labelsOf([impostor, real]), ['web~10', 'web']);
  assert.deepEqual(labelsOf([impostor, real], new Map([[impostor.key, 'web']])), ['web~10', 'web']);
});

test('a VM of KVM does not lose its name to an emulator, which any user can start', () => {
  const impostor = claim(10, 'web', { trust: TRUST.tcg });
  const real = claim(20, 'web');
  assert.deepEqual(labelsOf([impostor, real]), ['web~10', 'web']);
  assert.deepEqual(labelsOf([impostor, real], new Map([[impostor.key, 'web']])), ['web~10', 'web']);
  // libvirt stands for an emulator of its own.
  assert.deepEqual(labelsOf([{ ...impostor, trust: TRUST.libvirt }, real]), ['web', 'web~20']);
});

const UUID = '11111111-2222-3333-4444-555555555555';

test('a VM whose name is taken is identified by its UUID, and without one by its pid', () => {
  const [first, second] = [claim(10, 'web'), claim(20, 'web', { uuid: UUID })];
  assert.deepEqual(labelsOf([first, second]), ['web', 'web~11111111']);
  assert.deepEqual(labelsOf([first, second, claim(30, 'web', { uuid: UUID })]), [
    'web',
    'web~11111111',
    'web~30',
  ]);
});

test('a VM keeps its label when an older VM of the same name ends', () => {
  const younger = claim(20, 'web');
  assert.deepEqual(labelsOf([younger], new Map([[younger.key, 'web~20']])), ['web~20']);
});

test('a VM keeps its label when a VM that started earlier is found later', () => {
  const known = claim(20, 'web');
  assert.deepEqual(labelsOf([claim(10, 'web'), known], new Map([[known.key, 'web']])), ['web~10', 'web']);
});

test('a name that looks like the label of another VM does not become it', () => {
  const labels = labelsOf([claim(10, 'web'), claim(20, 'web'), claim(30, 'web~20')]);
  assert.equal(new Set(labels).size, 3);
  assert.equal(labels[1], 'web~20');
});

test('a name that is the pid of a VM without a name does not become its label', () => {
  assert.deepEqual(labelsOf([claim(10, '10'), claim(20, '10')]), ['10', '10~20']);
});

test('labels are unique and every VM has one, whatever the names', () => {
  const names = fc.constantFrom('web', 'web~1', 'web~2', 'web~2~', 'web~11111111', '1', '2', '');
  const uuids = fc.constantFrom('', UUID, UUID.replace('1', '2'));
  const claims = fc
    .array(fc.record({ name: names, uuid: uuids, trust: fc.constantFrom(...Object.values(TRUST)) }), {
      maxLength: 12,
    })
    .map((list) => list.map(({ name, ...more }, i) => claim(i + 1, name, more)));
  fc.assert(
    fc.property(claims, fc.array(names, { maxLength: 12 }), (list, before) => {
      const previous = new Map([...new Set(before)].map((label, i) => [`${i + 1}:${i + 1}`, label]));
      const labels = assignLabels(list, previous);
      assert.equal(labels.size, list.length);
      assert.equal(new Set(labels.values()).size, list.length);
      // A second round with nothing changed changes nothing.
      assert.deepEqual(assignLabels(list, labels), labels);
    }),
  );
});

test('a name is cleaned: no control characters, no reversed text, at most 100 characters', () => {
  assert.equal(truncateName('web\n1'), 'web?1');
  assert.equal(truncateName('a\u202eb\u0000c\u009bd'), 'a?b?c?d');
  assert.equal(truncateName('\ud800x'), '?x');
  assert.equal([...truncateName('😀'.repeat(500))].length, 100);
  assert.equal(truncateName('  web "x" \\ {y="z"} '), 'web "x" \\ {y="z"}');
  assert.equal(truncateName('a\u061cb\u2060c\u{e0041}'), 'a?b?c?');
});

test('long names that differ anywhere stay different, and 100 characters are not long', () => {
  // As KubeVirt makes them: <namespace>_<name>, 63 characters each.
  const long = (last: string): string => `${'n'.repeat(63)}_${'v'.repeat(62)}${last}`;
  assert.notEqual(truncateName(long('a')), truncateName(long('b')));
  assert.match(truncateName(long('a')), /^n{63}_v{25}…[0-9a-f]{10}$/);
  assert.notEqual(truncateName(`${long('a')}\u0001`), truncateName(`${long('a')}\u0002`));
  assert.equal(truncateName('x'.repeat(100)), 'x'.repeat(100));
  assert.equal([...truncateName('x'.repeat(101))].length, 100);
});

test('any name is cleaned, and a clean name is unchanged', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
      const fit = truncateName(name);
      assert.ok([...fit].length <= 100);
      assert.doesNotMatch(fit, /[\p{Cc}\p{Cs}\p{Bidi_C}]/u);
      assert.equal(truncateName(fit), fit);
    }),
  );
});
