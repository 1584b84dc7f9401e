import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { hostTree } from '../../testing/host-tree.ts';

const start = (context: TestContext, ...flags: string[]): Promise<Daemon> =>
  startDaemon(context, [`--path.rootfs=${hostTree(context).folder}`, '--web.enable-lifecycle', ...flags]);

/** Unlike fetch(), it can set Host, and does not wait for the end of an event stream. */
function statusOf(
  daemon: Daemon,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(`${daemon.url}${path}`, { headers, method, agent: false }, (response) => {
      resolve(response.statusCode);
      response.destroy();
    });
    sent.on('error', reject).end();
  });
}

const PATHS = ['/', '/metrics', '/api/v1/inventory', '/api/v1/live', '/-/healthy', '/assets/main.js'];

test('a page with a rebound DNS name reads nothing and reloads nothing', async (context) => {
  const daemon = await start(context);
  for (const path of PATHS)
    assert.equal(await statusOf(daemon, path, { host: 'evil.example:9954' }), 421, path);
  assert.equal(await statusOf(daemon, '/-/reload', { host: 'evil.example:9954' }, 'POST'), 421);
});

test('a page of another origin reads nothing and reloads nothing', async (context) => {
  const daemon = await start(context);
  for (const headers of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  ]) {
    for (const path of PATHS) assert.equal(await statusOf(daemon, path, headers), 403, path);
    assert.equal(await statusOf(daemon, '/-/reload', headers, 'POST'), 403);
  }
  assert.deepEqual(
    daemon.log.filter(({ msg }) => msg === 'configuration reloaded'),
    [],
  );
});

test('Prometheus, curl and the page itself get responses', async (context) => {
  const daemon = await start(context, '--web.allowed-hosts=kvm1.example.org');
  const prometheus = { 'user-agent': 'Prometheus/3.5.0', accept: 'application/openmetrics-text' };
  const own = { origin: daemon.url, 'sec-fetch-site': 'same-origin', 'accept-language': 'en' };
  for (const headers of [
    prometheus,
    own,
    { host: 'localhost' },
    { host: '[::1]:9954' },
    { host: 'kvm1.example.org' },
  ]) {
    for (const path of PATHS) assert.equal(await statusOf(daemon, path, headers), 200, path);
  }
  assert.equal(await statusOf(daemon, '/-/reload', {}, 'POST'), 200);
});

test('on all addresses, programs may use any name and browsers only known names', async (context) => {
  const daemon = await start(context, '--web.listen-address=:0');
  assert.equal(await statusOf(daemon, '/metrics', { host: 'kvm1.example.org:9954' }), 200);
  assert.equal(await statusOf(daemon, '/metrics', { host: 'evil.example', 'accept-language': 'en' }), 421);
});
