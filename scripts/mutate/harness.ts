/** The part of node:test that our tests use, for running tests many times in one process. */

type Body = (context: Context) => unknown;
type Options = { readonly skip?: boolean | string; readonly timeout?: number };
type Hook = () => unknown;

interface Scope {
  readonly name: string;
  readonly parent: Scope | undefined;
  readonly before: Hook[];
  readonly after: Hook[];
  readonly beforeEach: Hook[];
  readonly afterEach: Hook[];
}

export interface Test {
  /** Names of its file, its suites and the test. */
  readonly id: string;
  readonly scope: Scope;
  readonly body: Body;
}

interface Context {
  readonly name: string;
  after(hook: Hook): void;
  skip(): void;
  diagnostic(): void;
  test(name: string, ...rest: readonly unknown[]): Promise<void>;
}

export const tests: Test[] = [];
const suites: Promise<unknown>[] = [];
/** Cleanup hooks of scopes that have no setup before each run. */
const last: Hook[] = [];
let scope = newScope('', undefined);

function newScope(name: string, parent: Scope | undefined): Scope {
  return { name, parent, before: [], after: [], beforeEach: [], afterEach: [] };
}

/** Declarations from now on belong to this file. */
export function beginFile(name: string): void {
  scope = newScope(name, undefined);
}

function parts(rest: readonly unknown[]): { options: Options; body: Body | undefined } {
  const body = rest.find((each) => typeof each === 'function') as Body | undefined;
  const options = (rest.find((each) => typeof each === 'object' && each !== null) ?? {}) as Options;
  return { options, body };
}

function isSkipped({ skip }: Options): boolean {
  return skip !== undefined && skip !== false;
}

export function test(name: string, ...rest: readonly unknown[]): Promise<void> {
  const { options, body } = parts(rest);
  if (body === undefined || isSkipped(options)) return Promise.resolve();
  const path = (each: Scope | undefined): string =>
    each === undefined ? '' : `${path(each.parent)}${each.name} > `;
  const id = `${path(scope)}${name}`;
  const same = tests.filter((each) => each.id === id || each.id.startsWith(`${id}#`)).length;
  tests.push({ id: same === 0 ? id : `${id}#${same}`, scope, body });
  return Promise.resolve();
}

export function describe(name: string, ...rest: readonly unknown[]): void {
  const { options, body } = parts(rest);
  if (body === undefined || isSkipped(options)) return;
  const outer = scope;
  scope = newScope(name, outer);
  try {
    const made = (body as () => unknown)();
    if (made instanceof Promise) suites.push(made);
  } finally {
    scope = outer;
  }
}

export const it = test;
export const suite = describe;
export const before = (hook: Hook): void => void scope.before.push(hook);
export const after = (hook: Hook): void => void scope.after.push(hook);
export const beforeEach = (hook: Hook): void => void scope.beforeEach.push(hook);
export const afterEach = (hook: Hook): void => void scope.afterEach.push(hook);
export default Object.assign(test, { test, describe, it, suite, before, after, beforeEach, afterEach });

/** Runs one test with the hooks of its scopes. @throws the error of the test */
export async function runTest({ scope: own, body, id }: Test): Promise<void> {
  const scopes: Scope[] = [];
  for (let each: Scope | undefined = own; each !== undefined; each = each.parent) scopes.unshift(each);
  const begun: Scope[] = [];
  try {
    for (const each of scopes) {
      begun.unshift(each);
      for (const hook of each.before) await hook();
    }
    for (const each of scopes) for (const hook of each.beforeEach) await hook();
    await runBody(id, body);
    for (const each of scopes) for (const hook of each.afterEach) await hook();
  } finally {
    for (const each of begun) {
      // Things created when the file was loaded are needed again.
      if (each.before.length === 0) for (const hook of each.after.splice(0)) last.push(hook);
      else for (const hook of each.after) await hook();
    }
  }
}

async function runBody(name: string, body: Body): Promise<void> {
  const afterwards: Hook[] = [];
  const subtests: Promise<void>[] = [];
  const context: Context = {
    name,
    after: (hook) => void afterwards.push(hook),
    skip() {},
    diagnostic() {},
    test(inner, ...rest) {
      const { options, body: innerBody } = parts(rest);
      if (innerBody === undefined || isSkipped(options)) return Promise.resolve();
      const done = runBody(inner, innerBody);
      subtests.push(done.catch(() => undefined));
      return done;
    },
  };
  try {
    // Subtests that nobody awaited count too, as in node:test.
    await body(context);
    await Promise.all(subtests);
  } finally {
    for (const hook of afterwards) await hook();
  }
}

/** Cleans up what the files created when they were loaded. */
export async function finish(): Promise<void> {
  for (const hook of last) await hook();
}
