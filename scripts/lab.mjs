// `npm run lab`: a real KVM host under emulation with a real guest in it, and its metrics at
// http://127.0.0.1:9955/metrics. `npm run test:lab` (`node scripts/lab.mjs test`): the tests on it; `npm run
// test:lab -- trace`: the tests with "trace" in their name. See docs/lab.md.
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ready, root } from './prepare.mjs';
import { runTests } from './supervise.mjs';

const PORT = 9955;
const INNER_PORT = 9954;
/** An emulated host takes minutes to boot, and minutes per test. */
const LAB_FILE_MS = 25 * 60_000;

ready();
if (process.argv[2] === 'test') await test(process.argv[3] ?? '');
else await interactive();

async function test(part) {
  const files = readdirSync(`${root}dist/test/lab`).filter(
    (name) => name.endsWith('.test.js') && name.includes(part),
  );
  if (files.length === 0) throw new Error('no tests found');
  // One at a time: two emulated hosts would share two CPUs. A test that timed out leaves its host running,
  // which would keep the process alive.
  const options = ['--test-concurrency=1', '--test-reporter=spec', '--test-force-exit'];
  const paths = files.map((name) => `dist/test/lab/${name}`);
  process.exit(await runTests(paths, options, { fileMs: LAB_FILE_MS }));
}

async function interactive() {
  const { boot } = await import('../dist/lab/host.js');
  const { startExporter } = await import('../dist/testing/lab.js');
  // Installed first, so that a host that is still starting is stopped too (the host ends when this process
  // exits).
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end(0));
  let host;
  async function end(code) {
    await host?.stop();
    process.exit(code);
  }

  try {
    console.log('booting a KVM host (the first time, its packages are downloaded) ...');
    host = await boot({ forward: { [INNER_PORT]: PORT } });
    await startExporter(host, `${root}dist/exporter/main.js`, `0.0.0.0:${INNER_PORT}`);
    console.log('starting a guest ...');
    await host.startGuest('vm-a');
  } catch (error) {
    console.error(String(error));
    await end(1);
  }
  console.log(`
  http://127.0.0.1:${PORT}/metrics        the exporter in the host; its guest vm-a does random I/O

Each line that you type runs in the host (bash, as root); this machine's files are there, writes stay in memory:
  cat /sys/kernel/debug/kvm/*-*/exits
  for t in /proc/$(</run/lab/vm-a.pid)/task/*; do echo "\${t##*/} $(<$t/comm)"; done     threads of the guest
  taskset -pc 0 TID                                                                 to the other NUMA node
Ctrl-C ends it all. The emulated host lives for some minutes; nothing that it does is as fast as a real one.
`);
  void host.ended.then(() => {
    console.error('the host has ended');
    return end(1);
  });
  for await (const line of createInterface({ input: process.stdin, terminal: false })) {
    if (line.trim() === '') continue;
    try {
      const { code, stdout, stderr } = await host.run(line);
      console.log(`${stdout}${stderr}${code === 0 ? '' : `[exit ${code}]\n`}`);
    } catch (error) {
      console.error(String(error));
    }
  }
}
