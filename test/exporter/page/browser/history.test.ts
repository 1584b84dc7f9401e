import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from '../../../../exporter/page/browser/history.ts';
import { Past } from '../../../../exporter/page/browser/past.ts';

test('series share their times, and a missing value is a gap', () => {
  const history = new History(60_000, 10);
  for (let i = 1; i <= 4; i++) {
    history.tick(i * 1000, 3000);
    history.set('web', 'exits', i);
    if (i >= 3) history.set('web', 'iops', i === 3 ? 7 : undefined);
  }
  assert.deepEqual(history.read('web', ['exits', 'iops']), {
    times: [1, 2, 3, 4],
    values: [
      [1, 2, 3, 4],
      [null, null, 7, null],
    ],
  });
  assert.deepEqual(history.read('none', ['exits']).values, [[null, null, null, null]]);
  assert.deepEqual(history.names('web'), ['exits', 'iops']);
});

test('a pause without data interrupts the lines', () => {
  const history = new History(60_000, 10);
  history.tick(1000, 3000);
  history.set('web', 'exits', 1);
  history.tick(9000, 3000);
  history.set('web', 'exits', 2);
  assert.deepEqual(history.read('web', ['exits']).values, [[1, null, 2]]);
});

test('a tick may be continued', () => {
  const history = new History(60_000, 10);
  history.tick(1000, 3000);
  history.set('web', 'exits', 1);
  history.tick(1000, 3000);
  history.set('web', 'iops', 2);
  assert.deepEqual(history.read('web', ['exits', 'iops']), { times: [1], values: [[1], [2]] });
});

test('new values replace old ones, and removed VMs are deleted', () => {
  const history = new History(5000, 8);
  history.tick(1, 3000);
  history.set('gone', 'exits', 1);
  for (let i = 1; i <= 30; i++) {
    history.tick(i * 1000, 3000);
    history.set('web', 'exits', i);
  }
  assert.deepEqual(history.read('web', ['exits']), {
    times: [25, 26, 27, 28, 29, 30],
    values: [[25, 26, 27, 28, 29, 30]],
  });
  assert.deepEqual([history.size, history.has('gone')], [1, false]);
  history.forget('web');
  assert.equal(history.size, 0);
});

test('growing capacity keeps values; a value that was not set is null', () => {
  const history = new History(60_000, 10);
  for (let i = 1; i <= 3; i++) {
    history.tick(i * 1000, 3000);
    for (let n = 0; n < 10 * i; n++) history.set('web', `s${n}`, 100 * i + n);
  }
  assert.equal(history.names('web').length, 30);
  assert.deepEqual(history.read('web', ['s9', 's19', 's29']).values, [
    [109, 209, 309],
    [null, 219, 319],
    [null, null, 329],
  ]);
});

test('the base of a rate is as old as the window, or the oldest since the last pause', () => {
  const past = new Past<{ at: number }>();
  const take = (at: number): [number | undefined, number] => {
    const { before, seconds } = past.take({ at }, 5000, 3000);
    return [before?.at, seconds];
  };
  assert.deepEqual(take(1000), [undefined, Number.NaN]);
  assert.deepEqual(take(2000), [1000, 1]);
  for (let at = 3000; at < 9000; at += 1000) take(at);
  assert.deepEqual(take(9000), [4000, 5]);
  assert.deepEqual(take(13_000), [undefined, Number.NaN]);
  assert.deepEqual(take(14_000), [13_000, 1]);
  past.clear();
  assert.deepEqual(take(15_000), [undefined, Number.NaN]);
  // A clock that was set back.
  assert.deepEqual(take(10_000), [undefined, Number.NaN]);
});
