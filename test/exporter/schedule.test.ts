import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cronProblem, every, intervalOf } from '../../exporter/schedule.ts';

const EVERY_SECOND = '* * * * * *';

function start(context: TestContext, work: () => Promise<void>): { log: unknown[]; stop(): Promise<void> } {
  const log: unknown[] = [];
  const note = (...entry: unknown[]): void => void log.push(entry);
  const quiet = (): void => undefined;
  const logger = { debug: quiet, info: note, warn: note, error: note };
  const task = every(EVERY_SECOND, 'task', logger as unknown as Parameters<typeof every>[2], work);
  context.after(() => task.stop());
  return { log, stop: () => task.stop() };
}

describe('a task', { concurrency: true }, () => {
  test('runs at each tick until it is stopped', async (context) => {
    let runs = 0;
    const { stop } = start(context, async () => void runs++);
    await sleep(2300);
    assert.ok(runs >= 2 && runs <= 3, `${runs} runs`);
    await stop();
    const before = runs;
    await sleep(1200);
    assert.equal(runs, before);
  });

  test('that takes longer than its interval is not run beside itself', async (context) => {
    let [running, most, runs] = [0, 0, 0];
    const { log } = start(context, async () => {
      runs++;
      most = Math.max(most, ++running);
      await sleep(1500);
      running--;
    });
    await sleep(4200);
    assert.equal(most, 1);
    assert.ok(runs >= 2, 'and is run again');
    assert.deepEqual(log, [], 'which is no news');
  });

  test('that throws is logged and run again', async (context) => {
    let runs = 0;
    const { log } = start(context, async () => {
      runs++;
      throw new Error('no');
    });
    await sleep(2300);
    assert.ok(runs >= 2);
    assert.equal(log.length, runs);
    assert.match(JSON.stringify(log[0]), /task failed/);
  });
});

test('the interval is the time between runs, the longest where they differ', () => {
  assert.equal(intervalOf(EVERY_SECOND), 1000);
  assert.equal(intervalOf('*/10 * * * * *'), 10_000);
  assert.equal(intervalOf('0,1 * * * * *'), 59_000);
  assert.equal(intervalOf('0 */5 * * * *'), 300_000);
});

test('the interval is asked for at each sample and costs next to nothing', () => {
  const begin = performance.now();
  for (let i = 0; i < 10_000; i++) intervalOf(EVERY_SECOND);
  assert.ok(performance.now() - begin < 200);
});

test('what is wrong with an expression is told by field', () => {
  assert.equal(cronProblem(EVERY_SECOND), undefined);
  assert.match(cronProblem('60 * * * * *') ?? '', /^second: /);
  assert.match(cronProblem('0 0 0 31 2 *') ?? '', /^dayOfMonth: /);
  assert.notEqual(cronProblem(''), undefined);
});
