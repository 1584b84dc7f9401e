import { allDashboards } from '../dashboards/all.ts';
import { writeGenerated } from './generated.ts';

/** Path in the repository and content of each generated file. */
export function generatedDashboards(): ReadonlyMap<string, string> {
  return new Map(
    allDashboards().map(([name, dashboard]) => [
      `dashboards/generated/${name}.json`,
      `${JSON.stringify(dashboard, undefined, 2)}\n`,
    ]),
  );
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1])
  writeGenerated(generatedDashboards(), 'dashboards/*.ts say', 'npm run dashboards');
