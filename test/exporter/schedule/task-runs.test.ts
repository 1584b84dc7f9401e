import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOwnMetrics } from '../../../exporter/daemon/own-metrics.ts';
import { TaskRuns } from '../../../exporter/schedule/task-runs.ts';
import { parseSamples, sample } from '../../../testing/metrics.ts';

test('the age of a task is the time since its last completed run, also if later runs throw or hang', async () => {
  let now = 5000;
  const runs = new TaskRuns(() => now);
  const own = createOwnMetrics();
  own.readTasksFrom(() => runs.read((task) => (task === 'inventory' ? 10_000 : 1000)));
  const ageOf = async (task: string): Promise<number> =>
    sample(parseSamples(await own.registry.metrics()), 'kvm_telemetry_task_last_run_age_seconds', { task });
  now += 2500;
  assert.equal(await ageOf('sampler'), 2.5);
  await runs.run('sampler', async () => undefined);
  assert.equal(await ageOf('sampler'), 0);
  now += 3000;
  await assert.rejects(
    runs.run('sampler', () => Promise.reject(new Error('no'))),
    /no/,
  );
  void runs.run('inventory', () => new Promise(() => undefined));
  assert.deepEqual([await ageOf('sampler'), await ageOf('inventory'), await ageOf('trace')], [3, 5.5, 5.5]);
  const samples = parseSamples(await own.registry.metrics());
  assert.equal(sample(samples, 'kvm_telemetry_task_interval_seconds', { task: 'inventory' }), 10);
});
