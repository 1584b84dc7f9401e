import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Phases } from '../../../../exporter/assessment/stage/phases.ts';
import { truncateName } from '../../../../exporter/model/vm-names.ts';
import { temporaryFolder } from '../../../../testing/folder.ts';

const UUID = '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10';
const WHEN = new Date('2026-01-02T03:04:05.000Z');

function setUp(context: TestContext) {
  const folder = temporaryFolder(context);
  const log: string[] = [];
  const note = (_: object, message: string): void => void log.push(message);
  return {
    log,
    path: join(folder, 'phases.json'),
    open: () => new Phases(folder, { info: note, warn: note }),
  };
}

test('a phase that one process declares is known to another one after a reload', async (context) => {
  const { open } = setUp(context);
  const daemon = open();
  const web = { name: 'web', uuid: '' };
  assert.equal(await open().set('web', 'a', WHEN), true);
  assert.equal(daemon.of(web), undefined);
  daemon.reload();
  assert.equal(daemon.of(web), 'a');
  assert.equal(await open().clear('web'), true);
  daemon.reload();
  assert.equal(daemon.of(web), undefined);
});

test('the UUID, which is unique, precedes the name', async (context) => {
  const phases = setUp(context).open();
  await phases.set('web', 'by name', WHEN);
  assert.equal(phases.of({ name: 'web', uuid: UUID }), 'by name');
  await phases.set(UUID, 'by uuid', WHEN);
  assert.equal(phases.of({ name: 'web', uuid: UUID }), 'by uuid');
  assert.equal(phases.of({ name: 'web', uuid: '' }), 'by name');
});

test('all phases are listed in order, with their times', async (context) => {
  const phases = setUp(context).open();
  await phases.set('web', 'x', WHEN);
  await phases.set('db', 'y', WHEN);
  assert.deepEqual(phases.all, [
    { vm: 'db', phase: 'y', since: WHEN.toISOString() },
    { vm: 'web', phase: 'x', since: WHEN.toISOString() },
  ]);
});

test('names of object members are ordinary names', async (context) => {
  const { open } = setUp(context);
  const phases = open();
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    assert.equal(phases.of({ name, uuid: name }), undefined, name);
    assert.equal(await phases.clear(name), undefined, name);
  }
  assert.equal(await phases.set('constructor', 'x', WHEN), true);
  assert.equal(open().of({ name: 'constructor', uuid: '' }), 'x');
  await phases.set('__proto__', 'x', WHEN);
  assert.equal(({} as { phase?: string }).phase, undefined);
  assert.equal(phases.of({ name: 'web', uuid: '' }), undefined);
  assert.deepEqual(
    open().all.map(({ vm }) => vm),
    ['constructor'],
  );
});

test('a name is compared in the form of the label: shortened and cleaned', async (context) => {
  const phases = setUp(context).open();
  const long = `  ${'x'.repeat(150)}`;
  await phases.set(long, 'a', WHEN);
  assert.equal(phases.of({ name: truncateName(long), uuid: '' }), 'a');
  assert.equal(await phases.clear(long), true);
  assert.deepEqual(phases.all, []);
});

test('a file with any other content is set aside', (context) => {
  for (const text of [
    '{"phases":{"web":"x"}}',
    '{"phases":{"web":{"phase":"","since":"2026-01-02T03:04:05Z"}}}',
    `{"phases":{"web":{"phase":"${'x'.repeat(201)}","since":"2026-01-02T03:04:05Z"}}}`,
    '{"phases":{"web":{"phase":"x","since":"yesterday"}}}',
    '[]',
  ]) {
    const { open, path, log } = setUp(context);
    writeFileSync(path, text);
    assert.deepEqual(open().all, []);
    assert.equal(readFileSync(`${path}.corrupt`, 'utf8'), text);
    assert.equal(log.length, 1);
  }
});
