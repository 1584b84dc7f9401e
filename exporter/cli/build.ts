import { readFileSync } from 'node:fs';
import type { Build } from '../scrape/scrape.ts';

/** The version from package.json. The revision is the commit that the build stored in the environment. */
export function readBuild(environment: NodeJS.ProcessEnv, simulated: boolean): Build {
  const file = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return { version, revision: environment['KVM_TELEMETRY_REVISION'] ?? '', simulated };
}
