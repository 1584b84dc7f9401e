import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../../exporter/daemon/logger.ts';

function logged(format: 'json' | 'logfmt', fields: object, message: string): string {
  const lines: string[] = [];
  const logger = createLogger(
    { 'log.level': 'info', 'log.format': format },
    { write: (line) => lines.push(line) },
  );
  logger.debug('below the level');
  logger.warn(fields, message);
  return lines.join('');
}

const TIME = /^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;

function fieldsOf(fields: object, message = 'x'): string {
  const line = logged('logfmt', fields, message);
  assert.match(line, TIME);
  return line.replace(TIME, '');
}

test('json lines are those of pino', () => {
  const { level, msg, port } = JSON.parse(logged('json', { port: 1 }, 'listening')) as Record<
    string,
    unknown
  >;
  assert.deepEqual([level, msg, port], [40, 'listening', 1]);
});

test('logfmt has time, level and message first, and neither pid nor hostname', () => {
  assert.equal(
    fieldsOf({ address: ':9954', port: 9954, tls: false }, 'listening'),
    'level=warn msg=listening address=:9954 port=9954 tls=false\n',
  );
});

test('text with spaces, quotes or control characters is quoted, so that a line stays a line', () => {
  assert.equal(
    fieldsOf({ a: '', b: 'x y', c: 'q"', d: 'a=b', e: 'l\nm', f: 'é', g: '\u009b' }),
    'level=warn msg=x a="" b="x y" c="q\\"" d="a=b" e="l\\nm" f=é g="\u009b"\n',
  );
});

test('objects become fields, and lists stay lists', () => {
  const error = Object.assign(new Error('no room'), { code: 'ENOSPC' });
  assert.match(
    fieldsOf({ err: error, needsRestart: ['web.config.file'], none: null }),
    /^level=warn msg=x err\.type=Error err\.message="no room" err\.stack="Error: no room\\n.*" err\.code=ENOSPC needsRestart="\[\\"web\.config\.file\\"\]" none=null\n$/,
  );
});
