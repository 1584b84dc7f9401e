// `npm test`: installs, builds and runs all tests; fails when there are none. Arguments pick tests by a part of their path.
import { readdirSync } from 'node:fs';
import { ready, root } from './prepare.mjs';
import { runTests } from './supervise.mjs';

ready();
const wanted = process.argv.slice(2);
const files = readdirSync(`${root}dist/test`, { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  // Those need minutes and a host of their own: npm run test:lab.
  .filter((name) => !name.startsWith('lab/'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort()
  .map((name) => `dist/test/${name}`);
if (files.length === 0) {
  console.error('no tests found');
  process.exit(1);
}
// Guests in a loop take whole CPUs: in CI, where time is at hand, one file at a time.
const concurrency = process.env.CI === undefined ? 2 : 1;
process.exit(await runTests(files, [`--test-concurrency=${concurrency}`, '--test-reporter=spec']));
