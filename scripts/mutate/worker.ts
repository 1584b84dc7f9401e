import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Order, Reply } from './messages.ts';

/**
 * A `fork`ed process: loads the test files once, then runs single tests with one mutant enabled at a time.
 */

interface Switches {
  activeMutant: string | undefined;
  currentTestId: string | undefined;
  hitCount: number | undefined;
  hitLimit: number | undefined;
  mutantCoverage: { static: Record<string, number>; perTest: Record<string, Record<string, number>> };
}

const [distUrl = '', instrumentedUrl = '', staticMutant = '', ...files] = process.argv.slice(2);
/** An endless loop executes its mutant more often than this. */
const HIT_LIMIT = 2_000_000;
/** Slower tests are not repeated. */
const REPEATED_MS = 1000;

const switches: Switches = {
  activeMutant: staticMutant === '' ? undefined : staticMutant,
  currentTestId: undefined,
  hitCount: 0,
  hitLimit: HIT_LIMIT,
  mutantCoverage: { static: {}, perTest: {} },
};
Object.assign(globalThis, { __stryker__: switches });

const harness = new URL('./harness.js', import.meta.url).href;
register('./hooks.mjs', {
  // Hooks are plain JavaScript and are not compiled.
  parentURL: new URL('../../../scripts/mutate/', import.meta.url).href,
  data: { dist: distUrl, instrumented: instrumentedUrl, harness },
});
const { beginFile, finish, runTest, tests } = (await import(harness)) as typeof import('./harness.ts');

function reply(message: Reply): void {
  process.send?.(message);
}

let stray: unknown;
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => {
    stray = error;
  });

/** @returns the error */
async function attempt(id: string): Promise<string | undefined> {
  const test = tests.find((each) => each.id === id);
  if (test === undefined) throw new Error(`no test ${id}`);
  stray = undefined;
  switches.hitCount = 0;
  try {
    await runTest(test);
  } catch (error) {
    return text(error);
  }
  return stray === undefined ? undefined : text(stray);
}

function text(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 300) : String(error);
}

process.on('message', (order: Order) => void obey(order));
process.once('disconnect', () => process.exit());

let failure: string | undefined;
for (const file of files) {
  beginFile(fileURLToPath(file).split('/dist/test/').at(-1) ?? file);
  try {
    await import(file);
  } catch (error) {
    failure ??= `${file}: ${text(error)}`;
  }
}
reply({
  kind: 'ready',
  failure,
  tests: tests.map(({ id }) => id),
  covered: Object.keys(switches.mutantCoverage.static),
});

async function obey(order: Order): Promise<void> {
  if (order.kind === 'end') {
    await finish();
    process.exit();
  }
  if (order.kind === 'measure') {
    switches.currentTestId = order.test;
    const began = performance.now();
    const first = await attempt(order.test);
    const ms = performance.now() - began;
    switches.currentTestId = undefined;
    const covered = Object.keys(switches.mutantCoverage.perTest[order.test] ?? {});
    // A test that fails on repetition would count as a kill of every mutant.
    const second = first === undefined && ms < REPEATED_MS ? await attempt(order.test) : first;
    reply({ kind: 'measured', test: order.test, ms, covered, failure: second });
    return;
  }
  let killer: string | undefined;
  let why: string | undefined;
  switches.activeMutant = order.mutant;
  for (const id of order.tests) {
    why = await attempt(id);
    if (why === undefined) continue;
    killer = id;
    break;
  }
  switches.activeMutant = staticMutant === '' ? undefined : staticMutant;
  // A mutant may have corrupted state that the tests share. The next mutant would then be found by accident.
  const spoilt = killer !== undefined && staticMutant === '' && (await attempt(killer)) !== undefined;
  reply({ kind: 'tried', mutant: order.mutant, killer, why, spoilt });
}
