// `npm run alert-study`: which incidents on a simulated host the alerts find, and whether they are quiet without any.
import { become, build, install, root } from './prepare.mjs';

// As in history.mjs.
const YOUNG = '--max-semi-space-size=64';

install();
build();
become([YOUNG, `${root}dist/scripts/alert-study.js`, ...process.argv.slice(2)]);
