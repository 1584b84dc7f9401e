// `npm run coverage`: runs the tests without real processes, prints the coverage of each file, and fails below
// the floor.
import { ready } from './prepare.mjs';
import { runTests, testFiles } from './supervise.mjs';

/** Percent, one point below what was measured on 2026-11-27. */
const FLOOR = { lines: 96, branches: 94, functions: 95 };

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 8)) {
  console.error(
    `Node.js ${process.version} has no coverage floor: use Node.js 22.8 or newer, such as npx -y node@24 scripts/coverage.mjs`,
  );
  process.exit(2);
}
ready();
const folders = ['exporter', 'probes', 'kernel'];
process.exit(
  await runTests(testFiles(folders.map((folder) => `${folder}/`)), [
    '--test-concurrency=2',
    '--test-reporter=spec',
    '--experimental-test-coverage',
    ...folders.map((folder) => `--test-coverage-include=dist/${folder}/**`),
    ...Object.entries(FLOOR).map(([of, percent]) => `--test-coverage-${of}=${percent}`),
  ]),
);
