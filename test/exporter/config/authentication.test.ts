import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import express from 'express';
import { authentication } from '../../../exporter/config/authentication.ts';

const COST = 8;
const alice = hashSync('secret', COST);

async function start(context: TestContext, users: () => ReadonlyMap<string, string>): Promise<string> {
  const app = express();
  app.use(authentication(users));
  app.get('/', (_, response) => {
    response.send('in');
  });
  const server = app.listen(0, '127.0.0.1');
  context.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function login(url: string, user: string, password: string): Promise<number> {
  const credentials = Buffer.from(`${user}:${password}`).toString('base64');
  const response = await fetch(url, { headers: { authorization: `Basic ${credentials}` } });
  await response.text();
  return response.status;
}

test('everyone gets in where there are no users', async (context) => {
  const url = await start(context, () => new Map());
  assert.equal((await fetch(url)).status, 200);
});

test('only the right password of a known user gets in', async (context) => {
  const url = await start(context, () => new Map([['alice', alice]]));
  assert.equal(await login(url, 'alice', 'secret'), 200);
  assert.equal(await login(url, 'alice', 'secret'), 200, 'and again, remembered');
  assert.equal(await login(url, 'alice', 'wrong'), 401);
  assert.equal(await login(url, 'alice', ''), 401);
  assert.equal(await login(url, 'mallory', 'secret'), 401, "an unknown user with someone's password");
  assert.equal(await login(url, '__proto__', 'secret'), 401);
  assert.equal(await login(url, 'alice:secret', ''), 401);
});

test('without or with broken credentials the answer says how to log in', async (context) => {
  const url = await start(context, () => new Map([['alice', alice]]));
  for (const authorization of [undefined, 'Basic', 'Basic !!!', 'Bearer x', `Basic ${btoa('nocolon')}`]) {
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
    assert.equal(response.status, 401, authorization);
    assert.match(response.headers.get('www-authenticate') ?? '', /^Basic realm="kvm-telemetry"/);
  }
});

test('many scrapes at a time with the same password cost one comparison', async (context) => {
  const slow = hashSync('secret', 9);
  const url = await start(context, () => new Map([['alice', slow]]));
  const start_ = performance.now();
  await login(url, 'alice', 'wrong');
  const one = performance.now() - start_;
  const begin = performance.now();
  const codes = await Promise.all(Array.from({ length: 50 }, () => login(url, 'alice', 'secret')));
  assert.deepEqual(new Set(codes), new Set([200]));
  assert.ok(performance.now() - begin < 10 * one + 500, 'not fifty times as long');
});

test('a flood of wrong passwords is turned away before it costs much', async (context) => {
  const url = await start(context, () => new Map([['alice', alice]]));
  assert.equal(await login(url, 'alice', 'secret'), 200);
  const flood = Promise.all(Array.from({ length: 100 }, (_, i) => login(url, 'alice', `wrong ${i}`)));
  assert.equal(await login(url, 'alice', 'secret'), 200, 'who is known gets in meanwhile');
  const codes = await flood;
  assert.ok(codes.includes(401) && codes.includes(503), codes.join(' '));
  assert.ok(!codes.includes(200));
});

test('an unknown user is turned away as slowly as a known one', async (context) => {
  const url = await start(context, () => new Map([['alice', hashSync('secret', 9)]]));
  const time = async (user: string): Promise<number> => {
    const begin = performance.now();
    await login(url, user, 'wrong');
    return performance.now() - begin;
  };
  const [known, unknown] = [await time('alice'), await time('mallory')];
  assert.ok(unknown > known / 3 && unknown < known * 3, `${known} ms and ${unknown} ms`);
});

test('users are those of the moment: one who was taken off does not get in any more', async (context) => {
  let users = new Map([['alice', alice]]);
  const url = await start(context, () => users);
  assert.equal(await login(url, 'alice', 'secret'), 200);
  users = new Map([['bob', alice]]);
  assert.equal(await login(url, 'alice', 'secret'), 401);
  assert.equal(await login(url, 'bob', 'secret'), 200);
  users = new Map([['bob', hashSync('new', COST)]]);
  assert.equal(await login(url, 'bob', 'secret'), 401, 'the password was changed');
});
