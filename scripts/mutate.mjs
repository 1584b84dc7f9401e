// `npm run mutate`: builds, then runs the mutation tester so that no worker outlives it.
import { ready, root } from './prepare.mjs';
import { supervise } from './supervise.mjs';

ready();
process.exit(await supervise([`${root}dist/scripts/mutate.js`, ...process.argv.slice(2)], 24 * 3_600_000));
