import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { distances } from '../../scripts/mutate/imports.ts';
import { instrument, type Mutant, staleEquivalents } from '../../scripts/mutate/mutants.ts';
import { describeMutant, foldersOf, table } from '../../scripts/mutate/report.ts';
import { interval, randomNumbers, shuffled } from '../../scripts/mutate/statistics.ts';
import { measure, type Result, type Suite, Trial } from '../../scripts/mutate/trial.ts';
import { ROOT } from '../../testing/daemon.ts';

const SOURCE = `export const NAME = 'name';
export function sum(upTo: number): number {
  let sum = 0;
  for (let i = 1; i <= upTo; i++) sum += i;
  return sum;
}
export function unused(): number {
  return 1 + 2;
}
`;
const TESTS = `import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NAME, sum } from '../source.js';
describe('a source', () => {
  it('adds', () => assert.equal(sum(4), 10));
  it('has a name', () => assert.equal(NAME, 'name'));
});
`;

/** A project with one source and one test file. @returns the result of each mutant */
async function mutate(context: TestContext, source: string, tests: string): Promise<Result[]> {
  // Beside our own code, whose harness the worker loads.
  const root = `${mkdtempSync(join(tmpdir(), 'kt-mutate-'))}/`;
  context.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(`${root}dist/test`, { recursive: true });
  writeFileSync(`${root}package.json`, '{"type":"module"}');
  writeFileSync(`${root}source.ts`, source);
  writeFileSync(`${root}dist/source.js`, 'throw new Error("the tree with mutants is not used");');
  writeFileSync(`${root}dist/test/a.test.js`, tests);
  const mutants = await instrument(root, ['source.ts'], `${root}tree`, { equivalents: [] });
  const suite: Suite = {
    dist: pathToFileURL(`${root}dist/`).href,
    instrumented: pathToFileURL(`${root}tree/`).href,
    tests: [pathToFileURL(`${root}dist/test/a.test.js`).href],
    nearest: () => ['a.test.js'],
  };
  const { measured, loaded } = await measure(suite, 1, () => undefined);
  const trial = new Trial(suite, measured, loaded);
  const results: Result[] = [];
  for (const mutant of mutants) results.push(await trial.try(mutant));
  await trial.end();
  return results;
}

test('mutants in tested code are killed, others survive, and an endless loop is stopped', async (context) => {
  const results = await mutate(context, SOURCE, TESTS);
  const outcome = (line: number, replacement: string): string | undefined =>
    results.find(({ mutant }) => mutant.line === line && mutant.replacement === replacement)?.outcome;
  assert.equal(outcome(4, 'sum -= i'), 'killed');
  assert.equal(outcome(4, 'i < upTo'), 'killed');
  assert.match(outcome(4, 'i--') ?? '', /^(killed|timed out)$/);
  assert.equal(outcome(1, '""'), 'killed', 'what runs when the file is loaded');
  assert.equal(outcome(8, '1 - 2'), 'no coverage');
});

test('a test that fails without a mutant is not used, nor is one that cannot be run twice', async (context) => {
  const tests = `${TESTS}
let times = 0;
it('fails', () => assert.equal(sum(4), 11));
it('runs once', () => assert.equal(sum(times++) + 1, 1));
`.replace("it('adds', () => assert.equal(sum(4), 10));", '');
  const results = await mutate(context, SOURCE, tests);
  assert.equal(results.find(({ mutant }) => mutant.replacement === 'sum -= i')?.outcome, 'no coverage');
});

test('a mutant that ends the process is killed', async (context) => {
  const source =
    'export function check(right: boolean): void {\n  if (right) return;\n  process.exit(3);\n}\n';
  const tests =
    "import { test } from 'node:test';\nimport { check } from '../source.js';\ntest('checks', () => check(true));\n";
  const results = await mutate(context, source, tests);
  assert.equal(results.find(({ mutant }) => mutant.replacement === 'false')?.outcome, 'killed');
});

test('imports are followed with their distance', () => {
  const graph: Readonly<Record<string, readonly string[]>> = { a: ['b', 'c'], b: ['c', 'd'], d: ['a'] };
  assert.deepEqual(
    [...distances('a', (file) => graph[file] ?? [])],
    [
      ['a', 0],
      ['b', 1],
      ['c', 1],
      ['d', 2],
    ],
  );
});

test("the interval is Wilson's, and none where all were tried", () => {
  const [low, high] = interval(85, 100);
  assert.ok(Math.abs(low - 0.7672) < 0.0001 && Math.abs(high - 0.9069) < 0.0001, `${low} ${high}`);
  assert.deepEqual(interval(3, 4, 4), [0.75, 0.75]);
  assert.deepEqual(interval(0, 0), [0, 1]);
  const [ofFew] = interval(85, 100, 120);
  assert.ok(ofFew > low, 'most were tried');
});

test('a seed selects the same sample again', () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.integer()), (seed, items) => {
      const once = shuffled(items, randomNumbers(seed));
      assert.deepEqual(shuffled(items, randomNumbers(seed)), once);
      assert.deepEqual(
        [...once].sort((a, b) => a - b),
        [...items].sort((a, b) => a - b),
      );
    }),
  );
  const firsts = Array.from({ length: 300 }, (_, seed) => shuffled([0, 1, 2], randomNumbers(seed))[0]);
  for (const item of [0, 1, 2]) assert.ok(firsts.filter((each) => each === item).length > 60);
});

const MUTANT: Mutant = {
  id: '1',
  file: 'probes/a.ts',
  line: 7,
  source: 'return a + b;',
  mutator: 'ArithmeticOperator',
  replacement: 'a - b',
  equivalent: undefined,
};

test('the report has a row for each folder, without equivalent mutants', () => {
  const settings = {
    folders: { probes: ['probes'] },
    excludedSources: [],
    tests: [],
    excludedTests: [],
    equivalents: [],
  };
  const second = { ...MUTANT, id: '2' };
  const equivalent = { ...MUTANT, id: '3', equivalent: 'the same' };
  const all = [MUTANT, second, equivalent];
  const results: Result[] = [
    { mutant: MUTANT, outcome: 'killed', by: 'a test' },
    { mutant: second, outcome: 'survived', by: undefined },
  ];
  assert.deepEqual(
    foldersOf(all, settings).map(({ name }) => name),
    ['probes'],
  );
  const { text, worst } = table(all, results, settings);
  assert.match(text, /\| probes \| 2 \| 2 \| 1 \| 0 \| 1 \| 0 \| 50.0% \| 50.0% to 50.0% \|/);
  assert.equal(worst, 0.5);
  assert.match(
    describeMutant({ mutant: second, outcome: 'survived', by: undefined }),
    /^survived: probes\/a.ts:7 .*\n +return a \+ b;\n +a - b$/,
  );
});

test('an equivalent whose line has changed is reported, as it hides nothing any more', () => {
  const known = { file: MUTANT.file, line: MUTANT.source, replacement: MUTANT.replacement, reason: 'same' };
  const stale = [
    { ...known, line: 'return a;' },
    { ...known, replacement: 'a * b' },
  ];
  const elsewhere = { ...known, file: 'probes/b.ts' };
  assert.deepEqual(staleEquivalents([MUTANT], ['probes/a.ts'], [known, ...stale, elsewhere]), stale);
});

test('each equivalent in the settings names an existing line', () => {
  const { equivalents } = JSON.parse(readFileSync(`${ROOT}test/mutation.json`, 'utf8')) as {
    equivalents: { file: string; line: string; reason: string }[];
  };
  for (const { file, line, reason } of equivalents) {
    assert.ok(readFileSync(ROOT + file, 'utf8').includes(line), `${file}: ${line}`);
    assert.notEqual(reason, '');
  }
});
