import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { withMonitor } from '../../../testing/captured-monitor.ts';
import { GOLDEN_FLAGS, GOLDEN_HOSTS, goldenFile, withoutTheMoment } from '../../../testing/goldens.ts';
import { onceInProcess } from '../../../testing/in-process.ts';

for (const [host, vm] of Object.entries(GOLDEN_HOSTS)) {
  test(`a collection of the captured host ${host} has each family and each value of the golden file`, async (context) => {
    const text = await onceInProcess(await withMonitor(context, host, 't1', vm), ...GOLDEN_FLAGS);
    assert.equal(`${withoutTheMoment(text)}\n`, readFileSync(goldenFile(host), 'utf8'));
  });
}
