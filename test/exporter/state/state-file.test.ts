import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { StateFile } from '../../../exporter/state/state-file.ts';
import { temporaryFolder } from '../../../testing/folder.ts';

const schema = z.record(z.string(), z.string().max(64));
type Phases = z.infer<typeof schema>;

interface Log {
  readonly level: 'info' | 'warn';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

function setUp(context: TestContext) {
  const folder = temporaryFolder(context);
  const log: Log[] = [];
  const add = (level: Log['level']) => (fields: object, message: string) =>
    void log.push({ level, fields: fields as Log['fields'], message });
  const file = (directory = folder): StateFile<Phases> =>
    new StateFile({
      directory,
      name: 'phases.json',
      schema,
      empty: () => ({}),
      logger: { info: add('info'), warn: add('warn') },
    });
  return { folder, log, file, path: join(folder, 'phases.json') };
}

test('a saved state is read after a restart, and no other file is left in the directory', async (context) => {
  const { folder, log, file } = setUp(context);
  const before = file();
  assert.deepEqual(before.value, {});
  assert.equal(await before.save({ web: 'exitless-polling v2' }), true);
  assert.deepEqual(file().value, { web: 'exitless-polling v2' });
  assert.deepEqual(readdirSync(folder), ['phases.json']);
  assert.deepEqual(log, []);
});

test('any state is read back unchanged', async (context) => {
  const { file } = setUp(context);
  const names = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((name) => name !== '__proto__');
  await fc.assert(
    fc.asyncProperty(fc.dictionary(names, names, { noNullPrototype: true }), async (state) => {
      await file().save(state);
      assert.deepEqual(file().value, state);
    }),
    { numRuns: 30 },
  );
});

test('a missing directory is created', async (context) => {
  const { folder, file } = setUp(context);
  const directory = join(folder, 'a/b');
  assert.equal(await file(directory).save({ web: 'x' }), true);
  assert.deepEqual(file(directory).value, { web: 'x' });
});

test('a reader gets the old state or the new one, never a part', async (context) => {
  const { file, path } = setUp(context);
  const state = file();
  const big = (letter: string) =>
    Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`vm${i}`, letter.repeat(60)]));
  await state.save(big('a'));
  let reads = 0;
  let isDone = false;
  const reader = (async () => {
    while (!isDone) {
      const values = new Set(Object.values(JSON.parse(await readFile(path, 'utf8')) as Phases));
      assert.equal(values.size, 1);
      reads++;
    }
  })();
  for (const letter of 'bcdefghij') await state.save(big(letter));
  isDone = true;
  await reader;
  assert.ok(reads > 0);
});

test('the file is replaced, not overwritten: an open descriptor keeps the old state', async (context) => {
  const { file, path } = setUp(context);
  const state = file();
  await state.save({ web: 'a' });
  const { ino } = statSync(path);
  await state.save({ web: 'b' });
  assert.notEqual(statSync(path).ino, ino);
});

test('if calls arrive during a write, the file has the last one', async (context) => {
  const { file } = setUp(context);
  const state = file();
  const saves = Array.from({ length: 50 }, (_, i) => state.save({ web: String(i) }));
  assert.deepEqual(state.value, { web: '49' });
  assert.ok((await Promise.all(saves)).every((saved) => saved));
  assert.deepEqual(file().value, { web: '49' });
});

test('a corrupt file is set aside with one warning, and the next write succeeds', async (context) => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '7',
    '{"web":7}',
    `{"web":"${'x'.repeat(65)}"}`,
    '\0'.repeat(100),
  ]) {
    const { log, file, path } = setUp(context);
    writeFileSync(path, text);
    const state = file();
    assert.deepEqual(state.value, {}, text);
    assert.equal(readFileSync(`${path}.corrupt`, 'utf8'), text);
    assert.equal(existsSync(path), false);
    assert.equal(await state.save({ web: 'x' }), true);
    assert.deepEqual(file().value, { web: 'x' });
    assert.deepEqual(
      log.map(({ level, fields }) => [level, fields['path']]),
      [['warn', path]],
    );
  }
});

test('a file of more than 4 MiB is not read', (context) => {
  const { log, file, path } = setUp(context);
  writeFileSync(path, `{"web":"x"}${' '.repeat(4 * 1024 * 1024)}`);
  assert.deepEqual(file().value, {});
  assert.ok(existsSync(`${path}.corrupt`));
  assert.equal(log.length, 1);
});

test('a state of more than 4 MiB is not written, and the old one stays', async (context) => {
  const { log, file } = setUp(context);
  const state = file();
  await state.save({ web: 'x' });
  const big = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`vm${i}`, 'y'.repeat(64)]));
  assert.equal(await state.save(big), false);
  assert.equal(state.value, big);
  assert.deepEqual(file().value, { web: 'x' });
  assert.equal(log.length, 1);
});

test('a directory in place of the file is set aside', async (context) => {
  const { file, path, log } = setUp(context);
  mkdirSync(path);
  const state = file();
  assert.equal(await state.save({ web: 'x' }), true);
  assert.ok(statSync(`${path}.corrupt`).isDirectory());
  assert.equal(log.length, 1);
});

test('if the directory is not writable, the state is kept in memory, with one warning and one message when writing works again', async (context) => {
  const { folder, log, file } = setUp(context);
  const directory = join(folder, 'state');
  writeFileSync(directory, 'a file');
  const state = file(directory);
  for (const phase of ['a', 'b', 'c']) assert.equal(await state.save({ web: phase }), false);
  assert.deepEqual(state.reload(), { web: 'c' });
  assert.deepEqual(
    log.map(({ level, message }) => [level, message]),
    [['warn', 'state file cannot be written: state is kept in memory']],
  );
  rmSync(directory);
  assert.equal(await state.save(state.value), true);
  assert.equal(await state.save(state.value), true);
  assert.deepEqual(
    log.map(({ level }) => level),
    ['warn', 'info'],
  );
  assert.deepEqual(file(directory).value, { web: 'c' });
});

test('a reload reads what another process wrote', async (context) => {
  const { file } = setUp(context);
  const daemon = file();
  await file().save({ web: 'from the command line' });
  assert.deepEqual(daemon.value, {});
  assert.deepEqual(daemon.reload(), { web: 'from the command line' });
  assert.deepEqual(daemon.value, { web: 'from the command line' });
});

test('a reload accepts that the file was removed, but not a corrupt file', async (context) => {
  const { file, path, log } = setUp(context);
  const state = file();
  await state.save({ web: 'x' });
  writeFileSync(path, '{');
  assert.deepEqual(state.reload(), { web: 'x' });
  assert.equal(log.length, 1);
  await state.save({ web: 'y' });
  rmSync(path);
  assert.deepEqual(state.reload(), {});
});

test('a reload during a write reverts nothing', async (context) => {
  const { file } = setUp(context);
  const state = file();
  await state.save({ web: 'old' });
  const saving = state.save({ web: 'new' });
  assert.deepEqual(state.reload(), { web: 'new' });
  await saving;
  assert.deepEqual(state.reload(), { web: 'new' });
});

test('a file that may not be read is not overwritten', async (context) => {
  const { folder, log, path, file } = setUp(context);
  // A link to itself: nobody can open it, not even root.
  symlinkSync('phases.json', path);
  const state = file();
  assert.equal(await state.save({ web: 'x' }), false);
  assert.deepEqual(state.reload(), { web: 'x' });
  assert.deepEqual(readdirSync(folder), ['phases.json']);
  assert.deepEqual(
    log.map(({ fields }) => fields['reason']),
    ['ELOOP'],
  );
});
