import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AS_INSTALLED } from '../../../bench/as-installed.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { temporaryFolder } from '../../../testing/folder.ts';

const { NODE_OPTIONS: FLAG, ...MALLOC } = AS_INSTALLED;
const SETTINGS = Object.entries(MALLOC).map(([name, value]) => `${name}=${value}`);

test('main.js, the image and the benchmarks start Node.js with the same settings of memory', () => {
  const [first] = readFileSync(`${ROOT}exporter/main.ts`, 'utf8').split('\n');
  assert.equal(first, `#!/usr/bin/env -S ${SETTINGS.join(' ')} node ${FLAG}`);
  const dockerfile = readFileSync(`${ROOT}Dockerfile`, 'utf8');
  assert.ok(dockerfile.includes(`\nENV ${SETTINGS.join(' ')}\n`));
  assert.match(dockerfile, new RegExp(`^ENTRYPOINT \\["node", "${FLAG}", `, 'm'));
});

test("the packages' program has the same settings, and keeps those that the service sets itself", (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, 'lib'));
  writeFileSync(join(folder, 'lib/node'), '#!/bin/sh\necho "$1 $MALLOC_ARENA_MAX $MALLOC_MMAP_THRESHOLD_"\n');
  chmodSync(join(folder, 'lib/node'), 0o755);
  const program = readFileSync(`${ROOT}deploy/debian/kvm-telemetry`, 'utf8');
  const script = program.replace('/usr/lib/kvm-telemetry', join(folder, 'lib'));
  assert.notEqual(script, program);
  const run = (env: NodeJS.ProcessEnv): string =>
    execFileSync('sh', ['-c', script], { env: { PATH: process.env['PATH'], ...env }, encoding: 'utf8' });
  assert.equal(run({}), `${FLAG} ${Object.values(MALLOC).join(' ')}\n`);
  assert.equal(run({ MALLOC_ARENA_MAX: '8' }), `${FLAG} 8 ${MALLOC.MALLOC_MMAP_THRESHOLD_}\n`);
});
