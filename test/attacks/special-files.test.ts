import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readNamedFile } from '../../exporter/config/read-file.ts';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';

/** Special files and files of extreme size, by kind. */
async function specialFiles(context: TestContext): Promise<Map<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-special-'));
  const at = (name: string): string => join(folder, name);
  execFileSync('mkfifo', [at('fifo')]);
  symlinkSync(at('fifo'), at('link'));
  writeFileSync(at('huge'), '');
  truncateSync(at('huge'), 2 ** 40);
  const server = createServer().listen(at('socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  context.after(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const made = ['fifo', 'link', 'huge', 'socket'].map((name) => [name, at(name)] as const);
  return new Map([...made, ['directory', folder], ['endless', '/dev/zero'], ['terminal', '/dev/ptmx']]);
}

function run(...args: string[]): Promise<{ code: unknown; errors: string }> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env['PATH'] }, timeout: 60_000 };
    execFile(process.execPath, [`${ROOT}dist/exporter/main.js`, ...args], options, (error, _, errors) =>
      resolve({ code: error?.code, errors }),
    );
  });
}

test('a flag that names a special file is one error and exit code 2', async (context) => {
  const folder = temporaryFolder(context);
  const good = join(folder, 'good.pem');
  writeFileSync(good, '');
  const webConfig = (key: string, file: string): string => {
    const path = join(folder, `${key}.yaml`);
    const files = { cert_file: good, key_file: good, client_ca_file: good, [key]: file };
    writeFileSync(
      path,
      JSON.stringify({ tls_server_config: { ...files, client_auth_type: 'RequireAndVerifyClientCert' } }),
    );
    return path;
  };
  const files = await specialFiles(context);
  for (const what of ['fifo', 'endless']) {
    const file = files.get(what) ?? '';
    const commands = [
      ['once', `--config=${file}`],
      ['serve', '--web.listen-address=127.0.0.1:0', `--web.config=${file}`],
      ...['cert_file', 'key_file', 'client_ca_file'].map((key) => [
        'serve',
        '--web.listen-address=127.0.0.1:0',
        `--web.config=${webConfig(key, file)}`,
      ]),
    ];
    for (const command of commands) {
      const { code, errors } = await run(...command);
      assert.equal(code, 2, `${what}: ${errors}`);
      assert.match(errors, /^kvm-telemetry: --[\w.]+: [^\n]+\n$/, what);
    }
  }
});

test('a special file is neither waited for nor read whole', async (context) => {
  const reasons = [...(await specialFiles(context))].map(([what, file]) => {
    try {
      return [what, readNamedFile(file).length];
    } catch (error) {
      return [what, (error as Error).message];
    }
  });
  const special = (kind: string): string => `${kind}: give a regular file`;
  assert.deepEqual(Object.fromEntries(reasons), {
    fifo: special('a FIFO'),
    link: special('a FIFO'),
    huge: `more than ${4 * 1024 * 1024} bytes`,
    socket: 'not a regular file',
    directory: special('a directory'),
    endless: special('a device'),
    terminal: special('a device'),
  });
});
