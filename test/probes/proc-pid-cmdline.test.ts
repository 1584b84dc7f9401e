import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCmdline, readCmdline } from '../../probes/proc-pid-cmdline.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';
import { zombie } from './zombie.ts';

test("a captured QEMU's arguments are read", async () => {
  const { argv } = await readCmdline(capturedHost(), 244, 5000);
  assert.deepEqual(argv.slice(0, 5), [
    'qemu-system-x86_64',
    '-name',
    'guest=vm-a,debug-threads=on',
    '-uuid',
    '22222222-2222-3333-4444-555555555541',
  ]);
  assert.deepEqual(argv.slice(-3), ['-daemonize', '-D', '/run/vm/vm-a.log']);
});

test('empty arguments, a missing last NUL and UTF-8 are read as they are', () => {
  assert.deepEqual(parseCmdline(''), []);
  assert.deepEqual(parseCmdline('\0'), ['']);
  assert.deepEqual(parseCmdline('a\0\0b\0'), ['a', '', 'b']);
  assert.deepEqual(parseCmdline('nginx: worker process'), ['nginx: worker process']);
  assert.deepEqual(parseCmdline('a\0\xc3\xa9\0\xff\0'), ['a', 'é', '\ufffd']);
});

test('any arguments come back as they were given', () => {
  const argument = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));
  fc.assert(
    fc.property(fc.array(argument, { minLength: 1 }), (argv) => {
      const bytes = Buffer.from(argv.map((text) => `${text}\0`).join('')).toString('latin1');
      assert.deepEqual(parseCmdline(bytes), argv);
    }),
  );
});

test('this process and a zombie are read; a longer command line is read up to 2 MiB', async (context) => {
  const { argv } = await readCmdline(liveHost(), process.pid, 5000);
  assert.ok(
    argv.some((argument) => argument.endsWith('proc-pid-cmdline.test.js')),
    argv.join(' '),
  );
  assert.deepEqual((await readCmdline(liveHost(), await zombie(context), 5000)).argv, []);
  const { host, write } = hostTree(context);
  write('proc/9/cmdline', 'abc\0'.repeat(524_288));
  assert.equal((await readCmdline(host, 9, 5000)).isWhole, true);
  write('proc/9/cmdline', `${'abc\0'.repeat(524_287)}abcde\0`);
  const long = await readCmdline(host, 9, 5000);
  assert.deepEqual([long.isWhole, long.argv.length, long.argv.at(-1)], [false, 524_287, 'abc']);
  await assert.rejects(readCmdline(host, 10, 5000), { name: 'SourceError', kind: 'absent' });
});

testRobustness('parseCmdline', parseCmdline, [captured('proc/244/cmdline')]);
