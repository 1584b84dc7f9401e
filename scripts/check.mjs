// `npm run check`: format, lint, types, import rules, words, dead code, generated files.
import { spawnSync } from 'node:child_process';
import { build, install, root, run } from './prepare.mjs';

const bin = (name) => `${root}node_modules/.bin/${name}`;

install();
build();
run(bin('biome'), ['ci', '--colors=off', '--error-on-warnings', '.']);

// Fail if the import check covered no modules.
const cruise = spawnSync(
  bin('depcruise'),
  [
    'kernel',
    'probes',
    'exporter',
    'lab',
    'alerts',
    'dashboards',
    'promql',
    'testing',
    'test',
    'bench',
    'scripts',
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
  ],
  { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
);
const { summary } = JSON.parse(cruise.stdout);
for (const { from, to, rule } of summary.violations) console.error(`${rule.name}: ${from} -> ${to}`);
console.log(`dependency-cruiser: ${summary.totalCruised} modules, ${summary.violations.length} violations`);
if (summary.totalCruised < 50 || summary.violations.length > 0) process.exit(1);

run(process.execPath, ['scripts/words.mjs']);
run(bin('knip'), []);
run(process.execPath, ['scripts/bpf.mjs', '--check']);
for (const generator of ['docs', 'rules', 'dashboards'])
  run(process.execPath, [`dist/scripts/${generator}.js`, '--check']);
console.log('check: all clean');
