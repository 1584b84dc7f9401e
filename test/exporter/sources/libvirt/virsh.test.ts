import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Virsh } from '../../../../exporter/sources/libvirt/virsh.ts';
import { PATIENCE_MS, until } from '../../../../testing/patience.ts';

const URI = 'qemu:///system';

const domstats = (uri: string, timeoutMs: number) => new Virsh().domstats(uri, timeoutMs);

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

const ANSWER = `echo "Domain: 'web'"; echo '  state.state=1'; echo '  vcpu.0.exits.sum=7'`;

test('one read-only virsh call covers all domains, without waiting for busy ones, in the locale C', async (context) => {
  const folder = fakeVirsh(context, `cd "$(dirname "$0")"; echo "$@" >> args; env > env; ${ANSWER}`);
  process.env['KT_SECRET'] = 'x';
  context.after(() => delete process.env['KT_SECRET']);
  const { domains } = await domstats(URI, 20_000);
  assert.equal(domains.get('web')?.vcpus.get(0)?.get('exits'), 7);
  const args = readFileSync(join(folder, 'args'), 'utf8');
  assert.equal(
    args,
    '--quiet --readonly --connect qemu:///system domstats --raw --state --vcpu --block --list-active --nowait --iothread\n',
  );
  const environment = readFileSync(join(folder, 'env'), 'utf8').split('\n');
  assert.ok(environment.includes('LC_ALL=C'));
  assert.ok(!environment.some((line) => line.startsWith('KT_SECRET')), folder);
});

test('options that an old virsh does not know are left out, and not tried again', async (context) => {
  const folder = fakeVirsh(
    context,
    `cd "$(dirname "$0")"; echo "$@" >> args
case "$*" in *--nowait*) echo "error: command 'domstats' doesn't support option --nowait" >&2; exit 1;; esac
case "$*" in *--iothread*) echo "error: command 'domstats' doesn't support option --iothread" >&2; exit 1;; esac
${ANSWER}`,
  );
  const virsh = new Virsh();
  for (let i = 0; i < 2; i++) assert.equal((await virsh.domstats(URI, 20_000)).domains.size, 1);
  const calls = readFileSync(join(folder, 'args'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    calls.map((args) => args.replace(/.*--list-active ?/, '')),
    ['--nowait --iothread', '--iothread', '', ''],
  );
});

test('a virsh without a required option fails', async (context) => {
  fakeVirsh(context, "echo \"error: command 'domstats' doesn't support option --raw\" >&2; exit 1");
  await assert.rejects(domstats(URI, 20_000), { kind: 'failed', reason: /support option --raw/ });
});

test('a virsh that hangs is killed, though its children keep the pipe', async (context) => {
  const folder = fakeVirsh(
    context,
    'echo $$ > "$(dirname "$0")/pid"\nsleep 300 &\necho $! > "$(dirname "$0")/child"\nsleep 300',
  );
  const start = performance.now();
  await assert.rejects(domstats(URI, 300.1234), {
    kind: 'timeout',
    path: URI,
    reason: /no response from libvirt in 300 ms/,
  });
  assert.ok(performance.now() - start < PATIENCE_MS);
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  process.kill(Number(readFileSync(join(folder, 'child'), 'utf8')));
  await until(() => !existsSync(`/proc/${pid}`), 'virsh is gone');
});

test('a failing virsh is reported with its reason in one line', async (context) => {
  fakeVirsh(context, "printf '\\n\\033[31merror: failed to connect\\nerror: more\\n' >&2; exit 1");
  await assert.rejects(domstats(URI, 5000), {
    kind: 'failed',
    reason: '\\u{1b}[31merror: failed to connect',
  });
});

test('a virsh that exits without output is a failure as well', async (context) => {
  fakeVirsh(context, 'kill -SEGV $$');
  await assert.rejects(domstats(URI, 5000), { kind: 'failed', reason: 'virsh exited with SIGSEGV' });
});

test('a host without virsh is distinguished', async (context) => {
  fakeVirsh(context, undefined);
  await assert.rejects(domstats(URI, 5000), { kind: 'absent', path: 'virsh', reason: 'not installed' });
});

test('a virsh with endless output is killed', async (context) => {
  fakeVirsh(
    context,
    'exec yes "Domain: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
  );
  await assert.rejects(domstats(URI, 20_000), { kind: 'too_large', reason: /virsh printed over/ });
});

test('the job of a domain is queried by its UUID, with an old virsh without --rawstats', async (context) => {
  const folder = fakeVirsh(
    context,
    `cd "$(dirname "$0")"; echo "$@" >> args
case "$*" in *--rawstats*) echo "error: command 'domjobinfo' doesn't support option --rawstats" >&2; exit 1;; esac
echo 'Job type:         Unbounded'`,
  );
  const virsh = new Virsh();
  for (const completed of [false, true])
    assert.equal((await virsh.domjobinfo(URI, 'the-uuid', completed, 20_000))?.status, 'active');
  const calls = readFileSync(join(folder, 'args'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    calls.map((args) => args.replace(/.*:\/\/\/system /, '')),
    [
      'domjobinfo the-uuid --rawstats',
      'domjobinfo the-uuid',
      // Otherwise libvirt forgets the job, and the administrator no longer finds it.
      'domjobinfo the-uuid --completed --keep-completed',
    ],
  );
});
