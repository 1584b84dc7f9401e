// Installs, builds and runs the exporter: `node scripts/cli.mjs demo`. For a fresh clone.
import { become, build, install, root } from './prepare.mjs';

install();
build();
become([`${root}dist/exporter/main.js`, ...process.argv.slice(2)]);
