import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { outputFile } from '../../../exporter/cli/output-file.ts';
import { temporaryFolder } from '../../../testing/folder.ts';

test('a file appears whole, and replaces the file behind a link', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'report.html');
  const out = outputFile('--out', path);
  assert.ok(!existsSync(path));
  out.write('one');
  assert.equal(readFileSync(path, 'utf8'), 'one');
  symlinkSync(path, join(folder, 'link'));
  outputFile('--out', join(folder, 'link')).write('two');
  assert.equal(readFileSync(path, 'utf8'), 'two');
  assert.deepEqual(readdirSync(folder).sort(), ['link', 'report.html']);
});

test('without a write the file stays as it was', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'report.html');
  writeFileSync(path, 'old');
  outputFile('--out', path).discard();
  assert.equal(readFileSync(path, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder), ['report.html']);
});

test('anything but a file is refused at once', (context) => {
  const folder = temporaryFolder(context);
  const refused = (name: string, message: RegExp): void => {
    assert.throws(() => outputFile('--out', join(folder, name)), { name: 'ConfigError', message });
  };
  mkdirSync(join(folder, 'directory'));
  spawnSync('mkfifo', [join(folder, 'fifo')]);
  refused('directory', /directory is a directory: give the path of a file/);
  refused('fifo', /fifo is not a regular file/);
  refused('none/report.html', /cannot write .*report\.html: ENOENT/);
  assert.throws(() => outputFile('--out', '/dev/null'), /not a regular file/);
});
