import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const IMPORT = /(?:from|import)\s*\(?\s*['"](\.[^'"]+\.m?js)['"]/g;

/** Number of imports between a file and each file that it imports; 0 for the file itself. */
export function distances(
  file: string,
  importsOf: (file: string) => readonly string[] = imports,
): Map<string, number> {
  const found = new Map([[file, 0]]);
  for (const [each, distance] of found)
    for (const next of importsOf(each)) if (!found.has(next)) found.set(next, distance + 1);
  return found;
}

const known = new Map<string, readonly string[]>();

function imports(file: string): readonly string[] {
  const before = known.get(file);
  if (before !== undefined) return before;
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const found = [...text.matchAll(IMPORT)].map(([, path = '']) => join(dirname(file), path));
  known.set(file, found);
  return found;
}
