import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import express from 'express';
import { authentication } from '../../../exporter/http/authentication.ts';
import { type Comparison, compareInThread } from '../../../exporter/http/bcrypt.ts';
import { LoginQueue } from '../../../exporter/http/login-queue.ts';

const COST = 8;
const alice = hashSync('secret', COST);

async function start(
  context: TestContext,
  users: () => ReadonlyMap<string, string>,
  queue?: LoginQueue,
): Promise<string> {
  const app = express();
  const logins = authentication(users, queue);
  context.after(() => logins.close());
  app.use(logins.handler);
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

test('without configured users every request is accepted', async (context) => {
  const url = await start(context, () => new Map());
  assert.equal((await fetch(url)).status, 200);
});

test('only the right password of a known user is accepted', async (context) => {
  const url = await start(context, () => new Map([['alice', alice]]));
  assert.equal(await login(url, 'alice', 'secret'), 200);
  assert.equal(await login(url, 'alice', 'secret'), 200, 'and again, remembered');
  assert.equal(await login(url, 'alice', 'wrong'), 401);
  assert.equal(await login(url, 'alice', ''), 401);
  assert.equal(await login(url, 'mallory', 'secret'), 401, "an unknown user with someone's password");
  assert.equal(await login(url, '__proto__', 'secret'), 401);
  assert.equal(await login(url, 'alice:secret', ''), 401);
});

test('without valid credentials the response requests a login', async (context) => {
  const url = await start(context, () => new Map([['alice', alice]]));
  for (const authorization of [undefined, 'Basic', 'Basic !!!', 'Bearer x', `Basic ${btoa('nocolon')}`]) {
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
    assert.equal(response.status, 401, authorization);
    assert.match(response.headers.get('www-authenticate') ?? '', /^Basic realm="kvm-telemetry"/);
  }
});

/** A queue that records its comparisons. */
function watched(): { queue: LoginQueue; compared: { password: string; hash: string }[] } {
  const compared: { password: string; hash: string }[] = [];
  const compare = (password: string, hash: string): Comparison => {
    compared.push({ password, hash });
    return compareInThread(password, hash);
  };
  return { queue: new LoginQueue(compare), compared };
}

test('many scrapes at a time with the same password cost one comparison', async (context) => {
  const { queue, compared } = watched();
  const url = await start(context, () => new Map([['alice', alice]]), queue);
  const codes = await Promise.all(Array.from({ length: 50 }, () => login(url, 'alice', 'secret')));
  assert.deepEqual(new Set(codes), new Set([200]));
  assert.equal(compared.length, 1);
});

test('an unknown user takes the same comparison with a hash as a known one', async (context) => {
  const { queue, compared } = watched();
  const url = await start(context, () => new Map([['alice', alice]]), queue);
  assert.equal(await login(url, 'mallory', 'wrong'), 401);
  assert.deepEqual(compared, [{ password: 'wrong', hash: alice }]);
});

test('the current users count: a removed user is rejected', async (context) => {
  let users = new Map([['alice', alice]]);
  const url = await start(context, () => users);
  assert.equal(await login(url, 'alice', 'secret'), 200);
  users = new Map([['bob', alice]]);
  assert.equal(await login(url, 'alice', 'secret'), 401);
  assert.equal(await login(url, 'bob', 'secret'), 200);
  users = new Map([['bob', hashSync('new', COST)]]);
  assert.equal(await login(url, 'bob', 'secret'), 401, 'the password was changed');
});
