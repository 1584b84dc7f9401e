// `npm test`: installs, builds and runs all tests; fails when there are none. Arguments pick tests by a part of their path.
import { ready } from './prepare.mjs';
import { runTests, testFiles } from './supervise.mjs';

ready();
const files = testFiles(process.argv.slice(2));
// Guests in a loop take whole CPUs: in CI, where time is at hand, one file at a time.
const concurrency = process.env.CI === undefined ? 2 : 1;
process.exit(await runTests(files, [`--test-concurrency=${concurrency}`, '--test-reporter=spec']));
