import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problems } from '../../../exporter/inventory/problems.ts';
import { SourceError } from '../../../probes/errors.ts';

function failing(kind: SourceError['kind']): () => never {
  return () => {
    throw new SourceError(kind, '/proc/10', kind);
  };
}

function kinds(problems: Problems): string[] {
  return (problems.found.get('inventory') ?? []).map(({ kind }) => kind);
}

test('a read that succeeds returns its result and reports nothing', () => {
  const problems = new Problems();
  assert.equal(
    problems.attempt('inventory', () => 7, 0),
    7,
  );
  assert.deepEqual(
    [...problems.found],
    ['inventory', 'libvirt', 'kvm_debugfs', 'block', 'cpus'].map((source) => [source, []]),
  );
});

test('a read that fails returns the fallback and is reported', () => {
  const problems = new Problems();
  assert.equal(problems.attempt('inventory', failing('denied'), 9), 9);
  assert.deepEqual(kinds(problems), ['denied']);
  problems.clear();
  assert.deepEqual(kinds(problems), []);
});

test('the exit of a process is not reported; a missing file of a running process is', () => {
  const problems = new Problems();
  problems.attempt('inventory', failing('vanished'), 0);
  problems.attempt('inventory', failing('absent'), 0, () => false);
  assert.deepEqual(kinds(problems), []);
  problems.attempt('inventory', failing('denied'), 0, () => false);
  problems.attempt('inventory', failing('absent'), 0, () => true);
  problems.attempt('inventory', failing('absent'), 0);
  assert.deepEqual(kinds(problems), ['denied', 'absent', 'absent']);
});

test('an error that is not of a source is a bug and is thrown', () => {
  const bug = (): never => {
    throw new TypeError('bug');
  };
  assert.throws(() => new Problems().attempt('inventory', bug, 0), TypeError);
});

test('each source keeps at most 16 problems', () => {
  const problems = new Problems();
  for (let i = 0; i < 20; i++) problems.attempt('inventory', failing('denied'), 0);
  problems.attempt('block', failing('failed'), 0);
  assert.equal(kinds(problems).length, 16);
  assert.equal(problems.found.get('block')?.length, 1);
});
