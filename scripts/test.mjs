// `npm test`: installs, builds and runs all tests; fails if there are none. Arguments select tests by a part
// of their path.
import { fileURLToPath } from 'node:url';
import { ready } from './prepare.mjs';
import { runTests, testFiles } from './supervise.mjs';

const REPORTERS = ['spec', fileURLToPath(new URL('slowest-files.mjs', import.meta.url))].flatMap(
  (reporter) => [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout'],
);

ready();
const files = testFiles(process.argv.slice(2));
// A test with real processes has the machine for itself, unless it mostly waits: guests in a loop use whole CPUs, a monitor serves
// one client at a time, and a daemon of another test finds the guests too.
/** For a simulated host, or for rounds of the daemon. */
const SHARED = [
  'causes',
  'compare',
  'conventions',
  'demo',
  'page',
  'page-causes',
  'page-many',
  'reports',
  'unit-filter',
];
/** For real guests that mostly sleep, or for an alert. */
const PAIRED = ['affinity', 'alerts', 'clock', 'daemon', 'phase-set', 'qemu'];
const isReal = (name) => /^dist\/test\/(e2e|attacks)\//.test(name);
const isOneOf = (names, name) => isReal(name) && names.some((each) => name.endsWith(`/${each}.test.js`));
const shared = files.filter((name) => !isReal(name) || isOneOf(SHARED, name));
const paired = files.filter((name) => isOneOf(PAIRED, name));
const alone = files.filter((name) => !shared.includes(name) && !paired.includes(name));
const groups = [
  // In CI one more than it has CPUs: some of them wait most of the time.
  { files: shared, concurrency: process.env.CI === undefined ? 2 : 3 },
  { files: paired, concurrency: 2 },
  { files: alone, concurrency: 1 },
];
let code = 0;
for (const { files: names, concurrency } of groups.filter((group) => group.files.length > 0))
  code = (await runTests(names, [`--test-concurrency=${concurrency}`, ...REPORTERS])) || code;
process.exit(code);
