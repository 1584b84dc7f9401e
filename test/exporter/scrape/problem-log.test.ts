import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProblemLog } from '../../../exporter/scrape/problem-log.ts';
import { SourceError, type SourceErrorKind } from '../../../probes/errors.ts';

function start(): { log: string[]; problems: ProblemLog } {
  const log: string[] = [];
  const at =
    (level: string) =>
    ({ collector, path }: { collector: string; path?: string }): void =>
      void log.push([level, collector, path].filter(Boolean).join(' '));
  const logger = { info: at('info'), warn: at('warn') } as unknown as ConstructorParameters<
    typeof ProblemLog
  >[0];
  return { log, problems: new ProblemLog(logger) };
}

const problem = (path: string, kind: SourceErrorKind = 'denied'): SourceError =>
  new SourceError(kind, path, 'why');

test('a failure is logged once, its end once, and its return again', () => {
  const { log, problems } = start();
  for (const round of [[problem('/a')], [problem('/a')], [], [], [problem('/a')]])
    problems.update('p', round);
  assert.deepEqual(log, ['warn p /a', 'info p', 'warn p /a']);
});

test('a collector that never failed logs nothing', () => {
  const { log, problems } = start();
  problems.update('p', []);
  assert.deepEqual(log, []);
});

test('the same failure at many processes is one', () => {
  const { log, problems } = start();
  problems.update('p', [problem('/proc/12/x'), problem('/proc/345/x')]);
  problems.update('p', [problem('/proc/678/x')]);
  assert.deepEqual(log, ['warn p /proc/12/x']);
});

test('another failure of the same collector is logged; a missing source is no warning', () => {
  const { log, problems } = start();
  problems.update('p', [problem('/a')]);
  problems.update('p', [problem('/a'), problem('/b', 'absent')]);
  problems.update('q', [problem('/a')]);
  assert.deepEqual(log, ['warn p /a', 'info p /b', 'warn q /a']);
});

test('failures that come and go while others last are not logged repeatedly', () => {
  const { log, problems } = start();
  for (let i = 0; i < 20; i++)
    problems.update('p', i % 2 === 0 ? [problem('/a'), problem('/b')] : [problem('/a')]);
  assert.deepEqual(log, ['warn p /a', 'warn p /b']);
});

test('many failures, in any order, are logged up to a limit', () => {
  const { log, problems } = start();
  const names = Array.from({ length: 200 }, (_, i) => `/vm-${String.fromCharCode(0x4e00 + i)}`);
  for (let round = 0; round < 50; round++) {
    names.push(names.shift() ?? '');
    problems.update(
      'p',
      names.map((name) => problem(name)),
    );
  }
  assert.equal(log.length, 17, '16 failures and that there are more');
});

test('a process without free descriptors is logged once for all collectors, and so is its end', () => {
  const lines: string[] = [];
  const log = (fields: { reason?: string }, text: string): void =>
    void lines.push(`${fields.reason ?? ''} ${text}`);
  const problems = new ProblemLog({ info: log, warn: log } as unknown as ConstructorParameters<
    typeof ProblemLog
  >[0]);
  const exhausted = new SourceError('exhausted', '/proc/1/stat', 'EMFILE');
  problems.update('a', [exhausted, problem('/x')]);
  problems.update('b', [exhausted]);
  problems.update('a', [exhausted, problem('/x')]);
  assert.deepEqual(
    lines.map((line) => line.slice(0, 40)),
    ['EMFILE no file descriptor is free (EMFIL', 'why collector a: a source is not usable'],
  );
  assert.match(lines[0] ?? '', /LimitNOFILE/);
  problems.update('a', []);
  assert.equal(lines.at(-1), ' collector a: all sources usable again', 'b has none yet');
  problems.update('b', []);
  assert.deepEqual(lines.slice(3), [' file descriptors are free again'], 'b had no other failure');
});

test('the same failure with another number in its reason is one', () => {
  const { log, problems } = start();
  problems.update('p', [
    new SourceError('failed', '/a', 'after 10 ms'),
    new SourceError('failed', '/a', 'after 2000 ms'),
  ]);
  problems.update('p', [new SourceError('denied', '/a', 'after 10 ms')]);
  problems.update('p', [new SourceError('failed', '/a', 'before 10 ms')]);
  assert.deepEqual(log, ['warn p /a', 'warn p /a', 'warn p /a']);
});
