// `npm run alert-study`: which incidents on a simulated host the alerts find, and whether they stay silent
// without incidents.
import { become, ready, root } from './prepare.mjs';

// As in history.mjs.
const YOUNG = '--max-semi-space-size=64';

ready();
become([YOUNG, `${root}dist/lab/alert-study/main.js`, ...process.argv.slice(2)]);
