import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Window } from '../../../../exporter/assessment/stage/window.ts';
import { MIN_IOS, measure } from '../../../../exporter/assessment/technique/measured.ts';
import { NOTHING_TRACED } from '../../../../testing/vm-trace.ts';

const OBSERVABLE = {
  devices: undefined,
  facts: undefined,
  visibility: new Map(),
  nameAt: () => undefined,
  isTraced: true,
  awakeFrom: 0,
};

test('the absence of kicks in a minute with few windows does not prove few kicks', () => {
  const window = new Window();
  for (let seconds = 0; seconds <= 60; seconds += 10) {
    const trace = { ...NOTHING_TRACED, kickTotal: 0 };
    window.add({ at: seconds * 1000, ios: seconds * 1e6, trace, weight: 64, windowEvery: 16, skewMs: 0 });
  }
  assert.equal(measure(window.latest(MIN_IOS), OBSERVABLE), 'few_windows');
});
