// `npm run mutate`: plants bugs one at a time and counts those that a test finds. See docs/testing.md.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { distances } from './mutate/imports.ts';
import { instrument, type Mutant, staleEquivalents } from './mutate/mutants.ts';
import { describeMutant, foldersOf, table } from './mutate/report.ts';
import { readSettings } from './mutate/settings.ts';
import { randomNumbers, shuffled } from './mutate/statistics.ts';
import { measure, type Result, type Suite, Trial } from './mutate/trial.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUTPUT = `${ROOT}dist/mutants`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    changed: { type: 'string' },
    budget: { type: 'string', default: '86400' },
    workers: { type: 'string', default: '2' },
    distance: { type: 'string', default: 'Infinity' },
    'fail-under': { type: 'string' },
  },
});
const began = performance.now();
const settings = readSettings(ROOT);
/** @param share of the budget that may be used */
const outOfTime = (share = 1): boolean => performance.now() - began > share * Number(values.budget) * 1000;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function filesUnder(path: string): string[] {
  if (path.endsWith('.ts')) return [path];
  return readdirSync(ROOT + path, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(?<!\.d)\.ts$/.test(name))
    .map((name) => `${path}/${name}`)
    .filter(
      (name) => statSync(ROOT + name).isFile() && existsSync(`${ROOT}dist/${name.replace(/ts$/, 'js')}`),
    )
    .sort();
}

/** Files changed since this branch started. */
function changedSince(base: string): Set<string> {
  const { status, stdout, stderr } = spawnSync('git', ['diff', '--name-only', '--merge-base', base], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`git diff --merge-base ${base}: ${stderr}`);
  return new Set(stdout.split('\n'));
}

function chooseFiles(): string[] {
  const paths =
    positionals.length === 0
      ? Object.values(settings.folders).flat()
      : positionals.flatMap((name) => settings.folders[name] ?? [name]);
  const all = [...new Set(paths.flatMap(filesUnder))].filter(
    (file) => !settings.excludedSources.some((prefix) => file.startsWith(prefix)),
  );
  if (values.changed === undefined) return all;
  const changed = changedSince(values.changed);
  return all.filter((file) => changed.has(file));
}

function suiteFor(files: readonly string[]): Suite {
  const dist = `${ROOT}dist/`;
  const names = readdirSync(`${dist}test`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js') && settings.tests.some((prefix) => name.startsWith(prefix)))
    .filter((name) => !settings.excludedTests.includes(name))
    .sort();
  const far = new Map(names.map((name) => [name, distances(`${dist}test/${name}`)]));
  const away = (name: string, file: string): number =>
    far.get(name)?.get(dist + file.replace(/ts$/, 'js')) ?? Number.POSITIVE_INFINITY;
  const limit = Number(values.distance);
  const isNear = (distance: number): boolean => Number.isFinite(distance) && distance <= limit;
  const used = names.filter((name) => files.some((file) => isNear(away(name, file))));
  return {
    dist: pathToFileURL(dist).href,
    instrumented: `${pathToFileURL(OUTPUT).href}/tree/`,
    tests: used.map((name) => pathToFileURL(`${dist}test/${name}`).href),
    nearest: (file) =>
      used.filter((name) => Number.isFinite(away(name, file))).sort((a, b) => away(a, file) - away(b, file)),
  };
}

/** Alternates between the folders, so that an interrupted run covers part of each. */
function choose(mutants: readonly Mutant[]): Mutant[] {
  const random = randomNumbers(Number(values.seed));
  const limit = values.sample === undefined ? Number.POSITIVE_INFINITY : Number(values.sample);
  const queues = foldersOf(mutants, settings).map((folder) =>
    shuffled(
      folder.mutants.filter(({ equivalent }) => equivalent === undefined),
      random,
    ).slice(0, limit),
  );
  const longest = Math.max(0, ...queues.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => queues.flatMap((queue) => queue[i] ?? [])).flat();
}

const files = chooseFiles();
if (files.length === 0) {
  say('mutate: no file to mutate');
  process.exit();
}
mkdirSync(OUTPUT, { recursive: true });
const mutants = await instrument(ROOT, files, `${OUTPUT}/tree`, settings);
for (const { file, line } of staleEquivalents(mutants, files, settings.equivalents))
  say(`test/mutation.json: remove the entry for ${file}, or update its line: ${line}`);
const queue = choose(mutants);
// Only files with a chosen mutant need their tests.
const suite = suiteFor([...new Set(queue.map(({ file }) => file))]);
say(
  `${queue.length} of ${mutants.length} mutants in ${files.length} files, ${suite.tests.length} test files`,
);
const { measured, loaded, left } = await measure(suite, Number(values.workers), say, () => outOfTime(0.5));
say(`${measured.length} tests measured after ${Math.round((performance.now() - began) / 1000)} s`);

// A mutant whose nearest test file was not measured in time is not tried: it would seem to survive.
const unmeasured = new Set(left.map((test) => test.split(' > ')[0]));
const ready = queue.filter(({ file }) => !unmeasured.has(suite.nearest(file)[0]));
if (ready.length < queue.length)
  say(`${queue.length - ready.length} mutants are left out: no time to measure their tests`);

const results: Result[] = [];
await Promise.all(
  Array.from({ length: Number(values.workers) }, async () => {
    const trial = new Trial(suite, measured, loaded);
    for (let next = ready.shift(); next !== undefined && !outOfTime(); next = ready.shift()) {
      const result = await trial.try(next);
      results.push(result);
      if (result.outcome === 'survived' || result.outcome === 'no coverage') say(describeMutant(result));
    }
    await trial.end();
  }),
);
writeFileSync(`${OUTPUT}/report.json`, JSON.stringify(results, undefined, 2));
const { text, worst } = table(mutants, results, settings);
say(
  `\n${text}\nseed ${values.seed}, ${Math.round((performance.now() - began) / 1000)} s; all results: dist/mutants/report.json`,
);
// Compare with the upper end of the interval, so that sampling error alone does not fail the run.
if (values['fail-under'] !== undefined && worst < Number(values['fail-under']) / 100) process.exit(1);
