import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { domstats } from '../../../exporter/libvirt/virsh.ts';
import { PATIENCE_MS } from '../../support/patience.ts';

const URI = 'qemu:///system';

/** Puts a program named virsh in front of the PATH. @returns a folder that it may write to */
function fakeVirsh(context: TestContext, script: string | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), 'kt-virsh-'));
  const path = process.env['PATH'];
  context.after(() => {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true, force: true });
  });
  if (script !== undefined) writeFileSync(join(folder, 'virsh'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env['PATH'] = script === undefined ? folder : `${folder}:${path}`;
  return folder;
}

test('virsh is asked once for all domains, read-only, without waiting for busy ones, in plain C', async (context) => {
  const folder = fakeVirsh(context, 'echo "$@"; env');
  process.env['KT_SECRET'] = 'x';
  context.after(() => delete process.env['KT_SECRET']);
  const [args = '', ...environment] = (await domstats(URI, 5000)).split('\n');
  assert.match(args, /^--quiet --readonly --connect qemu:\/\/\/system domstats --raw --nowait /);
  assert.ok(environment.includes('LC_ALL=C'));
  assert.ok(!environment.some((line) => line.startsWith('KT_SECRET')), folder);
});

test('a virsh that hangs is killed, though its children keep the pipe', async (context) => {
  const folder = fakeVirsh(
    context,
    'echo $$ > "$(dirname "$0")/pid"\nsleep 300 &\necho $! > "$(dirname "$0")/child"\nsleep 300',
  );
  const start = performance.now();
  await assert.rejects(domstats(URI, 300), { kind: 'timeout', path: URI, reason: /no answer in 300 ms/ });
  assert.ok(performance.now() - start < PATIENCE_MS);
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  process.kill(Number(readFileSync(join(folder, 'child'), 'utf8')));
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('a virsh that fails says why, in one line', async (context) => {
  fakeVirsh(context, "printf '\\n\\033[31merror: failed to connect\\nerror: more\\n' >&2; exit 1");
  await assert.rejects(domstats(URI, 5000), {
    kind: 'failed',
    reason: '\\u{1b}[31merror: failed to connect',
  });
});

test('a virsh that dies without a word is a failure as well', async (context) => {
  fakeVirsh(context, 'kill -SEGV $$');
  await assert.rejects(domstats(URI, 5000), { kind: 'failed', reason: /^virsh: Command failed/ });
});

test('a host without virsh is told apart', async (context) => {
  fakeVirsh(context, undefined);
  await assert.rejects(domstats(URI, 5000), { kind: 'absent', path: 'virsh', reason: 'not installed' });
});

test('a virsh that floods is cut off', async (context) => {
  fakeVirsh(
    context,
    'exec yes "Domain: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
  );
  await assert.rejects(domstats(URI, 20_000), { kind: 'too_large', reason: /virsh printed over/ });
});
