import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWork } from '../../../exporter/scrape/shared-work.ts';

interface Piece {
  readonly number: number;
  readonly deadline: number;
  end(isComplete: boolean): void;
}
interface Result {
  readonly of: number;
  readonly isComplete: boolean;
}

const HOUR = 3_600_000;

/** Work that the test ends. */
function start(): { shared: SharedWork<Result>; pieces: Piece[]; joins: () => number } {
  const pieces: Piece[] = [];
  let joins = 0;
  const shared = new SharedWork<Result>(
    (deadline) => {
      const number = pieces.length;
      let resolve: (result: Result) => void = () => undefined;
      const result = new Promise<Result>((done) => {
        resolve = done;
      });
      pieces.push({ number, deadline, end: (isComplete) => resolve({ of: number, isComplete }) });
      return { deadline, result, soFar: () => ({ of: number, isComplete: false }) };
    },
    ({ isComplete }) => isComplete,
    () => joins++,
  );
  return { shared, pieces, joins: () => joins };
}

/** Hours from now. */
const inHours = (hours: number): number => performance.now() + hours * HOUR;

test('a caller joins the work that ends latest and still in time', async () => {
  const { shared, pieces, joins } = start();
  const early = shared.ask(inHours(6));
  const late = shared.ask(inHours(3));
  const later = shared.ask(inHours(12.5));
  assert.equal(pieces.length, 3);
  const fourth = shared.ask(inHours(7));
  assert.deepEqual([pieces.length, joins()], [3, 1]);
  for (const piece of pieces) piece.end(true);
  assert.deepEqual(
    (await Promise.all([early, late, later, fourth])).map((result) => result.of),
    [0, 1, 2, 0],
  );
});

test('no caller joins work that ends after its own deadline, or that uses less than half of its time', () => {
  const { shared, pieces, joins } = start();
  for (const hours of [10, 21, 4.9, 2.4]) void shared.ask(inHours(hours));
  assert.deepEqual([pieces.length, joins()], [4, 0]);
});

test('if all places are taken, a free place goes to the first waiting caller', async () => {
  const { shared, pieces } = start();
  for (const hours of [1, 0.9, 0.8, 0.7]) void shared.ask(inHours(hours));
  const first = shared.ask(inHours(10));
  const second = shared.ask(inHours(9.9));
  const third = shared.ask(inHours(11));
  pieces[3]?.end(false);
  await new Promise(setImmediate);
  assert.equal(pieces.length, 5, 'one place became free');
  pieces[4]?.end(true);
  assert.deepEqual([(await first).of, (await third).of], [4, 4], 'who fits joined');
  assert.equal((await second).of, 4, 'a complete result is good for everybody');
});

test('all waiting callers get a complete result, and none gets a partial one', async () => {
  const { shared, pieces } = start();
  for (const hours of [1, 0.9, 0.8, 0.7]) void shared.ask(inHours(hours));
  const waiting = [20, 9, 4, 2.1].map((hours) => shared.ask(inHours(hours)));
  pieces[0]?.end(true);
  assert.deepEqual(
    (await Promise.all(waiting)).map((result) => result.of),
    [0, 0, 0, 0],
  );
  assert.equal(pieces.length, 4);
});

test('with any number of callers at most four works run, and each caller has a result by its deadline', async () => {
  const { shared, pieces } = start();
  for (let i = 0; i < 4; i++) void shared.ask(inHours(100 - i));
  const asked = Array.from({ length: 200 }, (_, i) => shared.ask(performance.now() + 250 - i));
  assert.equal(pieces.length, 4);
  for (const result of await Promise.all(asked)) assert.deepEqual(result, { of: 0, isComplete: false });
  assert.equal(pieces.length, 4);
});

test('failed work fails for the callers that joined it, and the next caller gets its place', async () => {
  let count = 0;
  const shared = new SharedWork<number>(
    (deadline) => ({
      deadline,
      result: count++ === 0 ? Promise.reject(new Error('no')) : Promise.resolve(count),
      soFar: () => 0,
    }),
    () => true,
  );
  await assert.rejects(shared.ask(inHours(1)), /no/);
  assert.equal(await shared.ask(inHours(1)), 2);
});

test('callers with the same deadline share one work', () => {
  const { shared, pieces, joins } = start();
  const deadline = inHours(1);
  void shared.ask(deadline);
  void shared.ask(deadline);
  assert.deepEqual([pieces.length, joins()], [1, 1]);
});

test('a caller that waited gets the result of the work that was started for it, complete or not', async () => {
  const { shared, pieces } = start();
  for (const hours of [1, 0.9, 0.8, 0.7]) void shared.ask(inHours(hours));
  const waiting = shared.ask(inHours(10));
  pieces[0]?.end(false);
  await new Promise(setImmediate);
  pieces[4]?.end(false);
  const result = await Promise.race([waiting, new Promise(setImmediate)]);
  assert.deepEqual(result, { of: 4, isComplete: false });
});
