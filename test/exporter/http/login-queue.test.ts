import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginQueue, type Verdict } from '../../../exporter/http/login-queue.ts';

interface Compared {
  readonly password: string;
  readonly end: (isRight: boolean) => void;
  cancelled: boolean;
}

/** The test ends the comparisons. */
function start(now?: () => number) {
  const compared: Compared[] = [];
  const queue = new LoginQueue((password) => {
    let end: (isRight: boolean) => void = () => undefined;
    const isRight = new Promise<boolean>((resolve) => {
      end = resolve;
    });
    const one: Compared = { password, end, cancelled: false };
    compared.push(one);
    const cancel = (): void => {
      one.cancelled = true;
      end(false);
    };
    return { isRight, cancel };
  }, now);
  const ask = (peer: string, password: string, signal = new AbortController().signal): Promise<Verdict> =>
    queue.ask(peer, password, { password, hash: '' }, signal);
  return { queue, compared, ask };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('peers take turns, however many logins of one peer are pending', async () => {
  const { compared, ask } = start();
  for (const password of ['a1', 'a2', 'a3', 'a4']) void ask('a', password);
  void ask('b', 'b1');
  void ask('c', 'c1');
  for (let i = 0; i < 6; i++) {
    compared[i]?.end(true);
    await turn();
  }
  assert.deepEqual(
    compared.map(({ password }) => password),
    ['a1', 'a4', 'b1', 'c1', 'a3', 'a2'],
  );
});

test('a flooding peer displaces only its own logins, and its newest is next', async () => {
  const { compared, ask } = start();
  const verdicts = Array.from({ length: 40 }, (_, i) => ask('a', `wrong ${i}`));
  const right = ask('a', 'right');
  const other = ask('b', 'other');
  const first = verdicts[0];
  compared[0]?.end(true);
  assert.equal(await first, true);
  compared[1]?.end(true);
  await turn();
  compared[2]?.end(true);
  assert.deepEqual([await right, await other], [true, true]);
  const rest = await Promise.all(verdicts.slice(1, 36));
  assert.deepEqual(new Set(rest), new Set(['busy']));
});

test('a thousand peers have a limited number of pending logins', async () => {
  const { ask } = start();
  const verdicts = Array.from({ length: 1000 }, (_, i) => ask(`peer ${i}`, `wrong ${i}`));
  const waiting = await Promise.all(verdicts.map((each) => Promise.race([each, turn().then(() => 'waits')])));
  assert.equal(waiting.filter((each) => each === 'waits').length, 33);
});

test('after a wrong password its peer is blocked for four times the comparison, and the others continue', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const { compared, ask } = start(() => now);
  const names = (): readonly string[] => compared.map(({ password }) => password);
  void ask('a', 'wrong 1');
  now = 300;
  void ask('a', 'wrong 2');
  compared[0]?.end(false);
  await turn();
  assert.deepEqual(names(), ['wrong 1']);
  now = 1499;
  void ask('b', 'right');
  assert.deepEqual(names(), ['wrong 1', 'right']);
  compared[1]?.end(true);
  await turn();
  assert.deepEqual(names(), ['wrong 1', 'right'], 'a rests');
  now = 1501;
  context.mock.timers.tick(2);
  assert.deepEqual(names(), ['wrong 1', 'right', 'wrong 2']);
});

test('the login of a disconnected client is not compared, and a comparison without a client ends', async () => {
  const { compared, ask } = start();
  const [first, second] = [new AbortController(), new AbortController()];
  const running = ask('a', 'one', first.signal);
  const waiting = ask('b', 'two', second.signal);
  const last = ask('c', 'three');
  second.abort();
  first.abort();
  assert.deepEqual([await running, await waiting], ['busy', 'busy']);
  assert.equal(compared[0]?.cancelled, true);
  await turn();
  compared[1]?.end(true);
  assert.equal(await last, true);
  assert.deepEqual(
    compared.map(({ password }) => password),
    ['one', 'three'],
  );
});

test('a closed queue rejects pending logins, ends the comparison and accepts no further login', async () => {
  const { queue, compared, ask } = start();
  const verdicts = [ask('a', '1'), ask('a', '2'), ask('b', '3')];
  queue.close();
  assert.deepEqual(await Promise.all(verdicts), ['busy', 'busy', 'busy']);
  assert.equal(compared[0]?.cancelled, true);
  assert.equal(await ask('a', '4'), 'busy');
  assert.equal(compared.length, 1);
});

test('a failed comparison rejects the login, and the next one is tried', async () => {
  const queue = new LoginQueue(() => ({
    isRight: Promise.reject(new Error('EAGAIN')),
    cancel: () => undefined,
  }));
  const { signal } = new AbortController();
  const login = { password: 'x', hash: 'y' };
  assert.equal(await queue.ask('a', '1', login, signal), 'busy');
  assert.equal(await queue.ask('b', '2', login, signal), 'busy');
});
