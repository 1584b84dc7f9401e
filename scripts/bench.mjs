// `npm run bench`: what a scrape costs, on generated hosts. Arguments: --vms 100,1000 --rounds 20 --node-exporter PATH.
import { spawn } from 'node:child_process';
import { build, install, root } from './prepare.mjs';

install();
build();
const child = spawn(process.execPath, [`${root}dist/bench/scrape.js`, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// The terminal signals the whole group: the benchmark cleans up by itself, and this process waits for it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
