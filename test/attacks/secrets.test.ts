import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hostTree } from '../../testing/host-tree.ts';

const PASSWORDS = ['right-secret', 'wrong-secret', 'secret-of-prometheus', 'secret-in-url'];

test('no password, hash or header of a login is logged, at any level', async (context) => {
  const folder = temporaryFolder(context);
  const hash = hashSync('right-secret', 4);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const web = file('web.yml', `basic_auth_users:\n  alice: "${hash}"\n`);
  const http = file('http.yml', 'basic_auth:\n  username: bob\n  password: secret-of-prometheus\n');
  const daemon = await startDaemon(context, [
    `--path.rootfs=${hostTree(context).folder}`,
    `--web.config.file=${web}`,
    `--report.http-config-file=${http}`,
    // Nobody listens there: each report fails, and the failure is logged.
    '--report.prometheus-url=http://127.0.0.1:9',
    '--report.schedule=* * * * * *',
    `--report.dir=${folder}/reports`,
    '--log.level=trace',
  ]);
  const header = (password: string): string => `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`;
  for (const password of ['right-secret', 'wrong-secret'])
    await daemon.get('/metrics', { authorization: header(password) });
  const foreign = { authorization: header('right-secret'), host: 'evil.example' };
  await daemon.get('/metrics?password=secret-in-url', foreign).catch(() => undefined);
  daemon.child.kill('SIGHUP');
  await daemon.get('/metrics', { authorization: header('right-secret') });
  assert.equal(await daemon.stop(), 0);
  const log = JSON.stringify(daemon.log);
  assert.match(log, /listening/);
  const encoded = PASSWORDS.map((password) => header(password).slice('Basic '.length));
  for (const secret of [...PASSWORDS, ...encoded, hash]) assert.ok(!log.includes(secret), secret);
});
