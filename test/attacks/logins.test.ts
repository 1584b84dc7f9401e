import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { until } from '../../testing/patience.ts';
import { type RawClient, rawClient } from '../../testing/raw-client.ts';

const LONG = { timeout: 120_000 };

/** @param cost of bcrypt: 10 takes a tenth of a second, 24 half an hour */
async function start(context: TestContext, cost: number): Promise<Daemon> {
  const folder = temporaryFolder(context);
  const hash = hashSync('secret', Math.min(cost, 12)).replace(/^(\$2b\$)\d\d/, `$1${cost}`);
  writeFileSync(join(folder, 'web.yml'), `basic_auth_users:\n  alice: "${hash}"\n`);
  const rootfs = hostTree(context).folder;
  return startDaemon(context, [`--path.rootfs=${rootfs}`, `--web.config=${join(folder, 'web.yml')}`]);
}

function login(context: TestContext, daemon: Daemon, password: string, from: string): RawClient {
  const credentials = Buffer.from(`alice:${password}`).toString('base64');
  const say = `GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ${credentials}\r\n\r\n`;
  return rawClient(context, daemon.url, { from, say });
}

const status = async (client: RawClient): Promise<string | undefined> => {
  const read = (): string | undefined => /^HTTP\/1\.1 (\d+)/.exec(client.text())?.[1];
  await until(() => read() !== undefined);
  return read();
};

for (const from of ['127.0.0.2', '127.0.0.3']) {
  const whose = from === '127.0.0.2' ? 'the same address' : 'another address';
  test(`16 pending wrong logins do not block logins of ${whose}`, LONG, async (context) => {
    const daemon = await start(context, 10);
    const wrong = Array.from({ length: 16 }, (_, i) => login(context, daemon, `wrong ${i}`, '127.0.0.2'));
    // Four wait and one is compared: those beyond were turned away.
    await until(() => wrong.filter((each) => each.text() !== '').length >= 11);
    assert.equal(await status(login(context, daemon, 'secret', from)), '200');
  });
}

test('pending logins do not delay a stop, even if a comparison takes half an hour', LONG, async (context) => {
  const daemon = await start(context, 24);
  const wrong = Array.from({ length: 16 }, (_, i) =>
    login(context, daemon, `wrong ${i}`, `127.0.0.${2 + i}`),
  );
  await Promise.all(wrong.map(({ connected }) => connected));
  // The daemon has received their requests once it answers a later one.
  assert.equal((await daemon.get('/-/healthy')).status, 401);
  const late = setTimeout(() => daemon.child.kill('SIGKILL'), 10_000);
  assert.equal(await daemon.stop(), 0, 'it ended by itself, in less than 10 s');
  clearTimeout(late);
});

test('logins of disconnected clients are dropped', LONG, async (context) => {
  const daemon = await start(context, 12);
  for (let i = 0; i < 20; i++) {
    const client = login(context, daemon, `wrong ${i}`, `127.0.0.${10 + i}`);
    await client.connected;
    client.socket.end();
    client.socket.destroy();
  }
  // The disconnected logins are not compared first.
  assert.equal(await status(login(context, daemon, 'wrong', '127.0.0.2')), '401');
});
