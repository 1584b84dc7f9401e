import { readFileSync } from 'node:fs';
import type { Build } from './scrape.ts';

/** What was built: the version of package.json, and the commit where the build put it into the environment. */
export function readBuild(environment: NodeJS.ProcessEnv, simulated: boolean): Build {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return { version, revision: environment['KVM_TELEMETRY_REVISION'] ?? '', simulated };
}
