import assert from 'node:assert/strict';
import { chmodSync, symlinkSync } from 'node:fs';
import { test } from 'node:test';
import { isExecutableOfRoot, readExecutable } from '../../probes/proc-pid-exe.ts';
import { liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { zombie } from './zombie.ts';

test('the program of this process is known', () => {
  assert.equal(readExecutable(liveHost(), process.pid), process.execPath);
});

test('an exited process, a zombie and a kernel thread have no program', async (context) => {
  assert.equal(readExecutable(liveHost(), 4_194_305), undefined);
  assert.equal(readExecutable(liveHost(), await zombie(context)), undefined);
});

test('a program that an upgrade replaced keeps its name, whatever its letters', (context) => {
  const { host, link } = hostTree(context);
  link('proc/7/exe', '/usr/bin/qemu-system-x86_64 (deleted)');
  link('proc/8/exe', '/opt/émulateur/qemu');
  assert.equal(readExecutable(host, 7), '/usr/bin/qemu-system-x86_64');
  assert.equal(readExecutable(host, 8), '/opt/émulateur/qemu');
});

test("a program is root's own only when nobody else may write to it", async (context) => {
  if (process.getuid?.() !== 0) return context.skip('needs root, as whom the files of the test are made');
  const { host, write, folder } = hostTree(context);
  write('program', '');
  write('proc/7/x', '');
  symlinkSync(`${folder}/program`, `${folder}/proc/7/exe`);
  for (const [mode, expected] of [
    [0o755, true],
    [0o775, false],
    [0o757, false],
  ] as const) {
    chmodSync(`${folder}/program`, mode);
    assert.equal(await isExecutableOfRoot(host, 7, 5000), expected);
  }
  await assert.rejects(isExecutableOfRoot(host, 8, 5000), { name: 'SourceError', kind: 'absent' });
});
