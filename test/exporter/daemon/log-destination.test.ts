import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { logDestination } from '../../../exporter/daemon/log-destination.ts';
import { temporaryFolder } from '../../../testing/folder.ts';
import { has } from '../../../testing/tools.ts';

const LINE = `${'x'.repeat(99)}\n`;

function folderOf(context: TestContext): string {
  const folder = temporaryFolder(context);
  return folder;
}

/** A named pipe: its writing end, and its reading end that is read on request. */
function pipe(context: TestContext): { write: number; read(): string } {
  const path = join(folderOf(context), 'pipe');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(1 << 20);
  return {
    write: openSync(path, 'w'),
    read() {
      try {
        return buffer.toString('latin1', 0, readSync(reader, buffer));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
        return '';
      }
    },
  };
}

test('a stopped reader loses lines above a limit, and delays nothing', async (context) => {
  const { write, read } = pipe(context);
  let dropped = 0;
  const log = logDestination(write, (lines) => {
    dropped += lines;
  });
  const lines = 20_000;
  const begin = performance.now();
  for (let i = 0; i < lines; i++) log.write(LINE);
  assert.ok(dropped > lines / 2 && dropped < lines, `${dropped} dropped`);
  let text = '';
  // The reader goes on.
  for (let more = read(); more !== ''; more = read()) {
    text += more;
    for (let i = 0; i < 10; i++) await setImmediate();
  }
  assert.equal(text.length, (lines - dropped) * LINE.length);
  assert.equal(text.replaceAll(LINE, ''), '', 'lines are whole');
  log.write('the last\n');
  await log.end(10_000);
  assert.equal(read(), 'the last\n');
  assert.ok(performance.now() - begin < 10_000);
});

test('the end waits for a stopped reader up to its time limit', async (context) => {
  const { write } = pipe(context);
  const log = logDestination(write, () => undefined);
  for (let i = 0; i < 2000; i++) log.write(LINE);
  await log.end(20);
  log.write(LINE);
});

test('a file is written at once', async (context) => {
  const path = join(folderOf(context), 'file');
  const log = logDestination(openSync(path, 'w'), () => undefined);
  log.write('a\n');
  log.write('b\n');
  assert.equal(readFileSync(path, 'utf8'), 'a\nb\n');
  await log.end(0);
});

test('a full disk loses lines and nothing else', () => {
  let dropped = 0;
  const log = logDestination(openSync('/dev/full', 'w'), (lines) => {
    dropped += lines;
  });
  log.write('a\n');
  assert.equal(dropped, 1);
});

test('a line that a full disk cut is counted, and the next one begins on a line of its own', (context) => {
  // Before the folder is removed.
  let folder = '';
  context.after(() => void spawnSync('umount', ['--lazy', folder]));
  folder = folderOf(context);
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'kt-log', folder]);
  if (!has(context, mount.status === 0, 'mounting a tmpfs needs CAP_SYS_ADMIN')) return;
  const file = join(folder, 'log');
  const fd = openSync(file, 'a');
  context.after(() => closeSync(fd));
  let dropped = 0;
  const log = logDestination(fd, (lines) => {
    dropped += lines;
  });
  const written = 45;
  for (let i = 0; i < written; i++) log.write(LINE);
  const whole = Math.floor(4096 / LINE.length);
  assert.equal(dropped, written - whole);
  // As logrotate's copytruncate does.
  const cut = readFileSync(file, 'latin1').slice(whole * LINE.length);
  writeFileSync(file, cut);
  log.write('after\n');
  assert.equal(readFileSync(file, 'latin1'), `${cut}\nafter\n`);
  log.write('the next\n');
  assert.match(readFileSync(file, 'latin1'), /\nafter\nthe next\n$/);
  assert.equal(dropped, written - whole);
});
