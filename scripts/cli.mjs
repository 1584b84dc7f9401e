// Installs, builds and runs the exporter: `node scripts/cli.mjs demo`. For a fresh clone.
import { become, ready, root } from './prepare.mjs';

ready();
become([`${root}dist/exporter/main.js`, ...process.argv.slice(2)]);
