import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { allDashboards } from '../dashboards/all.ts';

const ROOT = new URL('../../', import.meta.url);

/** Path in the repository and content of each generated file. */
export function generatedDashboards(): ReadonlyMap<string, string> {
  return new Map(
    allDashboards().map(([name, dashboard]) => [
      `dashboards/generated/${name}.json`,
      `${JSON.stringify(dashboard, undefined, 2)}\n`,
    ]),
  );
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  for (const [path, content] of generatedDashboards()) {
    const file = new URL(path, ROOT);
    if (!process.argv.includes('--check')) {
      mkdirSync(dirname(file.pathname), { recursive: true });
      writeFileSync(file, content);
    } else if (!existsSync(file) || readFileSync(file, 'utf8') !== content) {
      process.stderr.write(`${path} is not what dashboards/*.ts say: run npm run dashboards\n`);
      process.exitCode = 1;
    }
  }
}
