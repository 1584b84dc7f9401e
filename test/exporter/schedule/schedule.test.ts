import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { cronProblem, every, intervalOf } from '../../../exporter/schedule/schedule.ts';

const EVERY_SECOND = '* * * * * *';
const START = Date.UTC(2026, 0, 1, 12);

/** A task on two clocks that are set by hand: node-cron reads the global Date, and timers use the other clock. */
function start(context: TestContext, expression: string, work: () => Promise<void>) {
  const { timers } = context.mock;
  timers.reset();
  timers.enable({ apis: ['setTimeout'] });
  let [monotonic, wall] = [0, START];
  const RealDate = Date;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args) => Reflect.construct(target, args.length === 0 ? [wall] : args),
    get: (target, key) => (key === 'now' ? () => wall : Reflect.get(target, key)),
  });
  const log: string[] = [];
  const note = (_: object, message: string): void => void log.push(message);
  const clocks = { monotonic: () => monotonic, wall: () => wall };
  const task = every(expression, 'task', { info: note, error: note } as never, work, clocks);
  const stop = (): void => {
    task.stop();
    globalThis.Date = RealDate;
  };
  context.after(stop);
  const move = async (ms: number): Promise<void> => {
    monotonic += ms;
    wall += ms;
    timers.tick(ms);
    await setImmediate();
  };
  return {
    log,
    stop,
    /** Advances both clocks. */
    async pass(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 50) await move(Math.min(50, left));
    },
    /** Sets the wall clock. */
    jump: (ms: number): void => {
      wall += ms;
    },
    /** Stops the process for a while: both clocks advance, and no timer fires. */
    sleep: move,
    time: () => new RealDate(wall).toISOString().slice(11, 19),
  };
}

describe('a task', () => {
  test('runs at each second that its expression names, until it is stopped', async (context) => {
    const runs: string[] = [];
    const { pass, stop, time } = start(context, '0,20 * * * * *', async () => void runs.push(time()));
    await pass(125_000);
    assert.deepEqual(runs, ['12:00:20', '12:01:00', '12:01:20', '12:02:00']);
    stop();
    await pass(120_000);
    assert.equal(runs.length, 4);
  });

  test('that takes longer than its interval does not overlap with itself', async (context) => {
    let [runs, end] = [0, (): void => undefined];
    const { pass, log } = start(context, EVERY_SECOND, () => {
      runs++;
      return new Promise((resolve) => {
        end = resolve;
      });
    });
    await pass(5000);
    assert.equal(runs, 1);
    end();
    await pass(1000);
    assert.equal(runs, 2);
    assert.deepEqual(log, [], 'which is no news');
  });

  test('that throws runs again, and its first failure and its recovery are logged', async (context) => {
    let runs = 0;
    const { pass, log } = start(context, EVERY_SECOND, async () => {
      if (++runs < 5) throw new Error('no');
    });
    await pass(7000);
    assert.ok(runs >= 6);
    assert.deepEqual(log, ['task task failed', 'task task succeeds again']);
  });

  test('runs once after the process was stopped, and then as before', async (context) => {
    let runs = 0;
    const { pass, sleep } = start(context, EVERY_SECOND, async () => void runs++);
    await pass(2000);
    const before = runs;
    await sleep(3_600_000);
    await pass(50);
    assert.equal(runs, before + 1);
    await pass(3000);
    assert.equal(runs, before + 4);
  });

  test('runs at its planned hour, however the clock is set', async (context) => {
    const at: string[] = [];
    const { pass, jump, time } = start(context, '0 0 * * * *', async () => void at.push(time()));
    await pass(10_000);
    jump(40 * 60_000);
    await pass(25 * 60_000);
    jump(-20 * 60_000);
    await pass(3_600_000);
    assert.deepEqual(at, ['13:00:00', '13:00:00']);
  });

  test('runs within one interval after any step of the clock, and within two if the clock steps repeatedly', async (context) => {
    const days = fc.integer({ min: -400 * 86_400_000, max: 400 * 86_400_000 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(EVERY_SECOND, '*/5 * * * * *', '3,17 * * * * *'),
        days,
        fc.integer({ min: 0, max: 20_000 }),
        fc.array(days, { maxLength: 5 }),
        async (expression, step, before, more) => {
          let runs = 0;
          const { pass, jump, stop } = start(context, expression, async () => void runs++);
          const interval = intervalOf(expression);
          await pass(before);
          jump(step);
          runs = 0;
          // The task detects the step within a second.
          await pass(interval + 1100);
          assert.ok(runs >= 1, 'after one step');
          runs = 0;
          const pause = (2 * interval + 1100) / (more.length + 1);
          for (const each of more) {
            await pass(pause);
            jump(each);
          }
          await pass(pause);
          assert.ok(runs >= 1, 'after several');
          stop();
        },
      ),
      { numRuns: 30 },
    );
  });
});

test('the interval is the longest time between runs', () => {
  assert.equal(intervalOf(EVERY_SECOND), 1000);
  assert.equal(intervalOf('*/10 * * * * *'), 10_000);
  assert.equal(intervalOf('0,1 * * * * *'), 59_000);
  assert.equal(intervalOf('0 */5 * * * *'), 300_000);
});

test('the problem of an expression names the field', () => {
  assert.equal(cronProblem(EVERY_SECOND), undefined);
  assert.match(cronProblem('60 * * * * *') ?? '', /^second: /);
  assert.match(cronProblem('0 0 0 31 2 *') ?? '', /^dayOfMonth: /);
  assert.notEqual(cronProblem(''), undefined);
  // February has no day 30 days before its last.
  assert.equal(cronProblem('0 0 0 L-30 2 *'), 'never due');
});
