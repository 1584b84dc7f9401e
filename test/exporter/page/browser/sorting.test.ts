import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COLUMNS, type Column, type Row } from '../../../../exporter/page/browser/columns.ts';
import { conditionsOf } from '../../../../exporter/page/browser/conditions.ts';
import { vmRates } from '../../../../exporter/page/browser/rates.ts';
import { filtered, held, pressed, sorted } from '../../../../exporter/page/browser/sorting.ts';
import type { LiveVm } from '../../../../exporter/page/live.ts';
import { liveVm } from './samples.ts';

function row(vm: string, exits: number | undefined, known: Partial<LiveVm> = {}): Row {
  const now = liveVm(vm, known);
  const rates = { ...vmRates(undefined, now, 1), exits };
  return { vm: now, rates, conditions: conditionsOf(now, rates), hour: undefined, at: 0 };
}

function column(key: string): Column {
  const found = COLUMNS.find((each) => each.key === key);
  assert.ok(found);
  return found;
}

const names = (rows: readonly Row[]): string[] => rows.map(({ vm }) => vm.vm);

test('numbers sort as numbers, names naturally, and unknown values are last', () => {
  const rows = [row('vm10', 5), row('vm9', undefined), row('vm1', 5), row('vm2', 100)];
  const by = (key: string, direction: 'ascending' | 'descending'): string[] =>
    names(sorted(rows, { column: column(key), direction }));
  assert.deepEqual(by('exits', 'descending'), ['vm2', 'vm1', 'vm10', 'vm9']);
  assert.deepEqual(by('exits', 'ascending'), ['vm1', 'vm10', 'vm2', 'vm9']);
  assert.deepEqual(by('vm', 'ascending'), ['vm1', 'vm2', 'vm9', 'vm10']);
  assert.deepEqual(by('vm', 'descending'), ['vm10', 'vm9', 'vm2', 'vm1']);
});

test('stages sort by rank, drift by number of threads', () => {
  const rows = [
    row('a', 1, { stage: 'pinned_queues', stageRank: 4, drift: { threads: 0, kinds: [] } }),
    row('b', 1, { stage: 'affinity', stageRank: 1, drift: { threads: 2, kinds: ['unpinned'] } }),
    row('c', 1, { stage: 'exitless_polling', stageRank: 2, drift: { threads: 10, kinds: ['unpinned'] } }),
  ];
  assert.deepEqual(names(sorted(rows, { column: column('stage'), direction: 'ascending' })), ['b', 'c', 'a']);
  assert.deepEqual(names(sorted(rows, { column: column('drift'), direction: 'descending' })), [
    'c',
    'b',
    'a',
  ]);
});

test('every column sorts and has a text for a VM without data', () => {
  const rows = [row('b', undefined), row('a', undefined)];
  for (const each of COLUMNS) {
    assert.deepEqual(names(sorted(rows, { column: each, direction: 'ascending' })), ['a', 'b'], each.key);
    assert.ok(
      rows.every((one) => each.text(one) !== ''),
      each.key,
    );
    assert.deepEqual(each.raw(liveVm('a')), [], each.key);
  }
});

test('a column starts with its most useful order, and reverses when clicked again', () => {
  const first = pressed({ column: column('vm'), direction: 'ascending' }, column('exits'));
  assert.equal(first.direction, 'descending');
  assert.equal(pressed(first, column('exits')).direction, 'ascending');
  assert.equal(pressed(first, column('vm')).direction, 'ascending');
});

test('the filter requires every word, in any field', () => {
  const rows = [
    row('web-1', 1, { stage: 'affinity', drift: { threads: 1, kinds: ['shared_cpu'] } }),
    row('web-2', 1, { stage: 'original', phase: 'polling v2', drift: { threads: 0, kinds: [] } }),
    row('db', 1, { state: 'paused' }),
  ];
  assert.deepEqual(names(filtered(rows, ' ')), ['web-1', 'web-2', 'db']);
  assert.deepEqual(names(filtered(rows, 'WEB drift')), ['web-1']);
  assert.deepEqual(names(filtered(rows, 'shared cpu')), ['web-1']);
  assert.deepEqual(names(filtered(rows, 'v2')), ['web-2']);
  assert.deepEqual(names(filtered(rows, 'paused')), ['db']);
  assert.deepEqual(names(filtered(rows, 'web db')), []);
});

test('a held order keeps its rows; new rows come last', () => {
  const rows = [row('a', 1), row('b', 9), row('d', 5)];
  assert.deepEqual(names(held(rows, ['b', 'c', 'a'])), ['b', 'a', 'd']);
});
