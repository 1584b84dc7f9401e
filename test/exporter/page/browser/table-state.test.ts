import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COLUMNS } from '../../../../exporter/page/browser/columns.ts';
import { hashOf, stateOf } from '../../../../exporter/page/browser/table-state.ts';

test('the URL keeps the order and the filter', () => {
  for (const column of COLUMNS) {
    for (const direction of ['ascending', 'descending'] as const) {
      for (const filter of ['', 'db drift', '&q=#/?%"<é']) {
        const state = { order: { column, direction }, filter };
        assert.deepEqual(stateOf(hashOf(state)), state);
      }
    }
  }
});

test('worst first is the default, and a URL that names no column means it', () => {
  const worstFirst = stateOf('');
  assert.equal(worstFirst.order.column.key, 'condition');
  assert.equal(worstFirst.order.direction, 'descending');
  assert.equal(hashOf(worstFirst), '#/');
  for (const hash of ['#/', '#/?sort=nonsense', '#/?sort=-', '#/vm/web'])
    assert.deepEqual(stateOf(hash), worstFirst, hash);
  assert.equal(hashOf({ ...stateOf('#/?sort=-iops'), filter: 'db' }), '#/?sort=-iops&q=db');
});
