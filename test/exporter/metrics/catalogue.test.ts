import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { catalogue } from '../../../exporter/metrics/catalogue.ts';
import { metricsReference } from '../../../scripts/docs.ts';
import { ROOT } from '../../../testing/daemon.ts';

test('docs/metrics.md is the catalogue: each name, type, label, help text and source', () => {
  assert.equal(metricsReference(catalogue), readFileSync(`${ROOT}docs/metrics.md`, 'utf8'));
});

test('a counter ends with _total, and only a counter does', () => {
  for (const [name, { type }] of Object.entries(catalogue))
    assert.equal(name.endsWith('_total'), type === 'counter', name);
});

test('every metric names its source, and a derived one its derivation', () => {
  for (const [name, { help, source, derived }] of Object.entries(catalogue)) {
    assert.match(help, /^\S.+\.$/s, name);
    assert.notEqual(source, '', name);
    if (derived !== undefined) assert.notEqual(derived.how, '', name);
  }
});
