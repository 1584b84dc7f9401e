import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { utf8 } from '../../probes/host.ts';
import { printable } from '../../probes/printable.ts';
import { capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { has } from '../../testing/tools.ts';

const KIB = 1024;
const isRoot = process.getuid?.() === 0;

test('a file is read as latin1 up to its cap', (context) => {
  const { host, folder, write } = hostTree(context);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  write('bytes', bytes);
  assert.equal(host.attribute(join(folder, 'bytes')), bytes.toString('latin1'));
  assert.equal(host.text(join(folder, 'bytes'), 256).length, 256);
  assert.throws(() => host.text(join(folder, 'bytes'), 255), {
    name: 'SourceError',
    kind: 'too_large',
    reason: 'more than 255 bytes',
  });
  write('empty', '');
  assert.equal(host.attribute(join(folder, 'empty')), '');
  assert.equal(host.text(join(folder, 'empty')), '');
});

test('an attribute is less than 64 KiB, before and after a long file was read', (context) => {
  const { host, folder, write } = hostTree(context);
  const long = Buffer.from(Array.from({ length: 3 * KIB * KIB }, (_, i) => i & 0xff));
  write('long', long);
  write('fits', 'x'.repeat(64 * KIB - 1));
  write('full', 'x'.repeat(64 * KIB));
  for (let round = 0; round < 2; round++) {
    assert.equal(host.attribute(join(folder, 'fits')).length, 64 * KIB - 1);
    assert.throws(() => host.attribute(join(folder, 'full')), { kind: 'too_large' });
    assert.throws(() => host.attribute(join(folder, 'long')), { kind: 'too_large' });
    assert.throws(() => host.text(join(folder, 'long')), { kind: 'too_large' }, 'the default is 1 MiB');
    assert.equal(host.text(join(folder, 'long'), 4 * KIB * KIB), long.toString('latin1'));
  }
  truncateSync(join(folder, 'long'), 2 ** 40);
  assert.throws(() => host.text(join(folder, 'long'), KIB * KIB), { kind: 'too_large' });
  assert.throws(() => host.text('/dev/zero', KIB * KIB), { kind: 'too_large' });
});

test('a FIFO where a file should be does not stop the reader, with a writer or without', async (context) => {
  const { host, folder } = hostTree(context);
  const path = join(folder, 'fifo');
  execFileSync('mkfifo', [path]);
  assert.equal(host.attribute(path), '');
  assert.equal(host.text(path), '');
  assert.equal(await host.slowText(path, KIB, 5000), '');
  const writer = openSync(path, 'r+');
  context.after(() => closeSync(writer));
  const blocked = { name: 'SourceError', kind: 'failed', reason: 'EAGAIN', path };
  assert.throws(() => host.attribute(path), blocked);
  assert.throws(() => host.text(path), blocked);
  await assert.rejects(host.slowText(path, KIB, 5000), blocked);
});

test('each kind of failure has its error code', async (context) => {
  const { host, folder, write } = hostTree(context);
  write('file', 'x');
  mkdirSync(join(folder, 'directory'));
  symlinkSync('loop', join(folder, 'loop'));
  for (const [name, kind, reason] of [
    ['nothing', 'absent', 'ENOENT'],
    ['file/x', 'absent', 'ENOTDIR'],
    ['directory', 'failed', 'EISDIR'],
    ['loop', 'failed', 'ELOOP'],
    ['a\0b', 'failed', 'ERR_INVALID_ARG_VALUE'],
    ['a'.repeat(300), 'failed', 'ENAMETOOLONG'],
  ] as const) {
    const path = join(folder, name);
    const expected = { name: 'SourceError', kind, reason, path: printable(path) };
    assert.throws(() => host.attribute(path), expected);
    assert.throws(() => host.text(path), expected);
    await assert.rejects(host.slowText(path, KIB, 5000), expected);
  }
  assert.throws(() => host.entries(join(folder, 'file')), { kind: 'absent', reason: 'ENOTDIR' });
  assert.throws(() => host.link(join(folder, 'file')), { kind: 'failed', reason: 'EINVAL' });
  assert.throws(() => host.stat(join(folder, 'nothing')), { kind: 'absent' });
  await assert.rejects(host.slowStat(join(folder, 'nothing'), 5000), { kind: 'absent' });
});

test('a refused access is reported as such', (context) => {
  const { host, folder, write } = hostTree(context);
  write('secret', 'x');
  chmodSync(join(folder, 'secret'), 0);
  chmodSync(folder, 0o755);
  if (isRoot) process.seteuid?.('nobody');
  try {
    assert.throws(() => host.attribute(join(folder, 'secret')), { kind: 'denied', reason: 'EACCES' });
    assert.throws(() => host.text(join(folder, 'secret')), { kind: 'denied', reason: 'EACCES' });
    assert.throws(() => host.entries('/proc/1/fd'), { kind: 'denied', reason: 'EACCES' });
    assert.throws(() => host.link('/proc/1/exe'), { kind: 'denied', reason: 'EACCES' });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test('the file of a process that exits between open and read counts as gone', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const fd = openSync(`/proc/${child.pid}/stat`, 'r');
  try {
    assert.match(liveHost().attribute(`/proc/self/fd/${fd}`), /^\d+ \(/);
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
    const vanished = { name: 'SourceError', kind: 'vanished', reason: 'ESRCH' };
    assert.throws(() => liveHost().attribute(`/proc/self/fd/${fd}`), vanished);
    await assert.rejects(liveHost().slowText(`/proc/self/fd/${fd}`, KIB, 5000), vanished);
    assert.throws(() => liveHost().attribute(`/proc/${child.pid}/stat`), { kind: 'absent' });
  } finally {
    closeSync(fd);
  }
});

test('a link target is latin1, a directory entry is a path that can be opened', (context) => {
  const { host, folder, write } = hostTree(context);
  write('à.xml', 'x');
  symlinkSync(Buffer.from([0x2f, 0xc3, 0xa0, 0xff]), join(folder, 'link'));
  assert.equal(host.link(join(folder, 'link')), '/\xc3\xa0\xff');
  const entry = host.entries(folder).find((name) => name.endsWith('.xml'));
  assert.equal(host.attribute(join(folder, entry ?? '?')), 'x');
});

test('mode, owner and time are those of the entry itself, or with slowStat of its target', async (context) => {
  const { host, folder, write } = hostTree(context);
  write('file', 'x');
  chmodSync(join(folder, 'file'), 0o4640);
  symlinkSync('file', join(folder, 'link'));
  assert.equal(host.stat(join(folder, 'file')).mode, 0o4640);
  assert.equal(host.stat(join(folder, 'link')).mode, 0o777);
  const { mode, uid, mtimeMs } = await host.slowStat(join(folder, 'link'), 5000);
  assert.deepEqual([mode, uid], [0o4640, process.getuid?.()]);
  assert.ok(Math.abs(Date.now() - mtimeMs) < 60_000);
});

test('only a block device has a device number, and a copy of /proc has none', (context) => {
  const { folder, write } = hostTree(context);
  write('file', 'x');
  const fd = openSync(join(folder, 'file'), 'r');
  context.after(() => closeSync(fd));
  const host = liveHost();
  assert.equal(host.blockDevice(`/proc/self/fd/${fd}`), undefined);
  assert.equal(host.blockDevice('/dev/null'), undefined);
  assert.throws(() => host.blockDevice(join(folder, 'nothing')), { name: 'SourceError', kind: 'absent' });
  assert.equal(capturedHost().blockDevice(join(folder, 'nothing')), undefined);
});

test('the largest device number is split as the kernel joined it', (context) => {
  if (!has(context, isRoot, 'needs root, to make a device node')) return;
  const { folder } = hostTree(context);
  for (const [major, minor] of [
    [259, 1],
    [8, 256],
    [4095, 1048575],
  ] as const) {
    const path = join(folder, `${major}-${minor}`);
    execFileSync('mknod', [path, 'b', String(major), String(minor)]);
    assert.deepEqual(liveHost().blockDevice(path), { major, minor });
  }
});

test('invalid UTF-8 in a name becomes replacement characters', () => {
  assert.equal(utf8('CPU 0/KVM'), 'CPU 0/KVM');
  assert.equal(utf8('\xc3\xa9\xff'), 'é\ufffd');
  const written = Buffer.from('日本').toString('latin1');
  assert.equal(utf8(written), '日本');
});

test('a limit is the length of the longest file that is read', async (context) => {
  const { host, folder, write } = hostTree(context);
  // The first buffer of a slow read has 16 KiB.
  for (const limit of [1, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 64 * KIB]) {
    for (const length of [limit - 1, limit, limit + 1]) {
      write('proc/10/root/file', 'x'.repeat(length));
      const path = join(folder, 'proc/10/root/file');
      const head = await host.slowHead(path, limit, 5000);
      assert.deepEqual([head.text.length, head.isWhole], [Math.min(length, limit), length <= limit]);
      const reads = [
        async () => host.text(path, limit),
        () => host.slowText(path, limit, 5000),
        () => host.textOfProcess(10, '/file', limit, 5000),
      ];
      for (const read of reads) {
        if (length <= limit) assert.equal((await read()).length, length);
        else await assert.rejects(read, { kind: 'too_large' });
      }
    }
  }
});
