// `npm test`: installs, builds and runs all tests; fails if there are none. Arguments select tests by a part
// of their path.
import { ready } from './prepare.mjs';
import { runTests, testFiles } from './supervise.mjs';

ready();
const files = testFiles(process.argv.slice(2));
// Guests in a loop use whole CPUs. CI has time, so it runs one file at a time.
const concurrency = process.env.CI === undefined ? 2 : 1;
process.exit(await runTests(files, [`--test-concurrency=${concurrency}`, '--test-reporter=spec']));
