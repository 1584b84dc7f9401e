import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { kindBelow, openBelow } from '../../probes/rooted-file.ts';
import { temporaryFolder } from '../../testing/folder.ts';

function folderOf(context: TestContext): string {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, 'root/a/b'), { recursive: true });
  writeFileSync(join(folder, 'root/a/b/file'), 'inside');
  writeFileSync(join(folder, 'outside'), 'outside');
  return folder;
}

async function read(root: string, path: string): Promise<string> {
  const handle = await openBelow(root, path);
  try {
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

test('a file is found through any path below the root', async (context) => {
  const root = join(folderOf(context), 'root');
  symlinkSync('/a', join(root, 'absolute'));
  symlinkSync('b/../b', join(root, 'a/relative'));
  for (const path of ['a/b/file', '/a//b/./file', '/absolute/b/file', '/a/relative/file', '../../a/b/file'])
    assert.equal(await read(root, path), 'inside', path);
});

test('no path leaves the root, whatever the links', async (context) => {
  const folder = folderOf(context);
  const root = join(folder, 'root');
  symlinkSync(join(folder, 'outside'), join(root, 'absolute'));
  symlinkSync('../../../outside', join(root, 'a/relative'));
  symlinkSync('/proc/self/root', join(root, 'magic'));
  for (const path of ['absolute', 'a/relative', `magic${folder}/outside`, '../outside'])
    await assert.rejects(read(root, path), { code: 'ENOENT' }, path);
});

test('a FIFO, a device and a directory are refused without blocking', async (context) => {
  const root = join(folderOf(context), 'root');
  execFileSync('mkfifo', [join(root, 'fifo')]);
  for (const path of ['fifo', 'a', '/'])
    await assert.rejects(read(root, path), { name: 'SourceError', reason: 'is no regular file' }, path);
  await assert.rejects(read('/dev', 'null'), { reason: 'is no regular file' });
});

test('no descriptor is left open, also on failure', async (context) => {
  const root = join(folderOf(context), 'root');
  symlinkSync('loop', join(root, 'loop'));
  const open = (): number => readdirSync('/proc/self/fd').length;
  await read(root, 'a/b/file');
  const before = open();
  for (let i = 0; i < 5; i++) {
    await read(root, 'a/b/file');
    for (const path of ['a/b', 'none', 'loop', 'a/b/file/x']) await assert.rejects(read(root, path));
  }
  assert.equal(open(), before);
});

test('what a folder has at a path is known without following a link in it', async (context) => {
  const folder = folderOf(context);
  const root = join(folder, 'root');
  symlinkSync('/a/b', join(root, 'short'));
  symlinkSync('file', join(root, 'a/b/link'));
  symlinkSync('b', join(root, 'a/linked'));
  const kind = (path: string): Promise<string> => kindBelow(root, '/short', path);
  assert.equal(await kind('/file'), 'file', 'a link on the way to the folder is followed');
  assert.equal(await kind('nothing/file'), 'absent');
  assert.equal(await kind('link'), 'other');
  assert.equal(await kind('file/below'), 'other', 'a file hides a folder');
  assert.equal(await kindBelow(root, '/a', 'linked/file'), 'other');
  assert.equal(await kindBelow(root, '/a', 'b'), 'other');
  await assert.rejects(kindBelow(root, '/gone', 'file'), { code: 'ENOENT' });
});
