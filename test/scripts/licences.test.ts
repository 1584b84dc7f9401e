import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ROOT } from '../../testing/daemon.ts';

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
}

const ALLOWED = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD']);

test('all that is shipped has a permissive licence', () => {
  const lock = JSON.parse(readFileSync(`${ROOT}package-lock.json`, 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const shipped = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  assert.ok(shipped.length > 50, `${shipped.length} packages`);
  const others = shipped.filter(([, { license }]) => license === undefined || !ALLOWED.has(license));
  assert.deepEqual(
    others.map(([path, { version, license }]) => `${path} ${version}: ${license}`),
    [],
  );
});
