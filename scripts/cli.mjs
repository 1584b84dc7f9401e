// Installs, builds and runs the exporter: `node scripts/cli.mjs demo`. For a fresh clone.
import { spawn } from 'node:child_process';
import { build, install, root } from './prepare.mjs';

install();
build();
const child = spawn(process.execPath, [`${root}dist/exporter/main.js`, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// The terminal signals the whole group: the exporter stops by itself, and this process waits for it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
