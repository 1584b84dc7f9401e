import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listeningPort } from '../../exporter/cli/listening-port.ts';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { until } from '../../testing/patience.ts';
import { hasTool } from '../../testing/tools.ts';

/** V8 requests memory protection keys, and works without them. */
const REFUSED = new Set(['pkey_alloc']);

/** All system calls of a set of systemd. */
function callsOf(set: string): string[] {
  const { stdout } = spawnSync('systemd-analyze', ['syscall-filter', set], { encoding: 'utf8' });
  const names = stdout
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((name) => name !== '' && !name.startsWith('#'));
  return names.flatMap((name) => (name.startsWith('@') ? callsOf(name) : [name]));
}

/** The system calls that the unit allows. Each line adds to the list, or with ~ removes from it. */
function allowed(unit: string): Set<string> {
  const calls = new Set(callsOf('@default'));
  for (const [, sign, sets = ''] of unit.matchAll(/^SystemCallFilter=(~?)(.*)$/gm))
    for (const call of sets.split(' ').flatMap((name) => (name.startsWith('@') ? callsOf(name) : [name])))
      if (sign === '~') calls.delete(call);
      else calls.add(call);
  return calls;
}

test('the unit allows the system calls that the daemon makes', async (context) => {
  if (!hasTool(context, 'strace', 'strace') || !hasTool(context, 'systemd-analyze', 'systemd')) return;
  const calls = allowed(readFileSync(`${ROOT}deploy/systemd/kvm-telemetry.service`, 'utf8'));
  assert.ok(calls.size > 200, `${calls.size} calls`);
  const summary = join(temporaryFolder(context), 'calls');
  const daemon = [`${ROOT}dist/exporter/main.js`, 'serve', '--web.listen-address=127.0.0.1:0'];
  // -D: the child is the daemon, not strace.
  const child = spawn('strace', ['-D', '-f', '-c', '-qq', '-o', summary, process.execPath, ...daemon], {
    stdio: 'ignore',
  });
  context.after(() => child.kill('SIGKILL'));
  const port = await listeningPort(child);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  assert.match(await response.text(), /^kvm_telemetry_build_info\{/m);
  child.kill('SIGTERM');
  await until(() => / total\n$/.test(readFileSync(summary, 'utf8')), 'the table of strace');
  const made = readFileSync(summary, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).at(-1) ?? '')
    .filter((name) => /^[a-z]\w+$/.test(name) && name !== 'syscall' && name !== 'total');
  assert.ok(made.includes('openat'));
  assert.deepEqual(
    made.filter((name) => !calls.has(name) && !REFUSED.has(name)),
    [],
  );
});
