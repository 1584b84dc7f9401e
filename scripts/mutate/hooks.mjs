// Module hooks of the worker: sources come from the tree with mutants, and `node:test` is replaced by
// harness.ts.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

let dist;
let instrumented;
let harness;

export function initialize(data) {
  ({ dist, instrumented, harness } = data);
}

export async function resolve(specifier, context, next) {
  if (specifier === 'node:test') return { url: harness, format: 'module', shortCircuit: true };
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (url.startsWith(dist)) {
    const path = fileURLToPath(instrumented + url.slice(dist.length));
    if (existsSync(path)) return { format: 'module', source: readFileSync(path, 'utf8'), shortCircuit: true };
  }
  return next(url, context);
}
