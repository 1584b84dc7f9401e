// `npm run test:repeat -- 20 [part...]`: repeats tests while every CPU is busy, and counts the failures.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ready } from './prepare.mjs';
import { runTests, testFiles } from './supervise.mjs';

const [count, ...parts] = process.argv.slice(2);
const runs = Number(count);
if (!Number.isInteger(runs) || runs < 1) {
  console.error('npm run test:repeat -- RUNS [part of a path]...');
  process.exit(2);
}
ready();
const files = testFiles(parts);
const folder = mkdtempSync(join(tmpdir(), 'kt-repeat-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
// Threads end with this process, however it ends.
for (let i = 0; i < availableParallelism(); i++) new Worker('for (;;);', { eval: true }).unref();

const failures = new Map();
let red = 0;
for (let run = 1; run <= runs; run++) {
  const began = performance.now();
  const log = join(folder, 'tap');
  const code = await runTests(files, [
    '--test-concurrency=2',
    '--test-reporter=tap',
    `--test-reporter-destination=${log}`,
  ]);
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`run ${run} of ${runs}: ${code === 0 ? 'passed' : `exit ${code}`}, ${seconds} s`);
  if (code > 128) process.exit(code);
  if (code !== 0) red++;
  for (const name of failed(readFileSync(log, 'utf8'))) failures.set(name, (failures.get(name) ?? 0) + 1);
}
console.log(`${runs - red} passed, ${red} failed`);
for (const [name, times] of [...failures].sort(([, a], [, b]) => b - a))
  console.log(`${times}/${runs}  ${name}`);
process.exit(red === 0 ? 0 : 1);

/** Names of failed tests, each with its parent tests. */
function failed(tap) {
  const path = [];
  const found = [];
  for (const line of tap.split('\n')) {
    const [, indent, kind, name] = /^( *)(# Subtest: |not ok \d+ - )(.*)$/.exec(line) ?? [];
    if (indent === undefined) continue;
    const depth = indent.length / 4;
    path[depth] = name.replace(/ # .*$/, '');
    if (kind !== '# Subtest: ') found.push(path.slice(0, depth + 1).join(' > '));
  }
  return found;
}
