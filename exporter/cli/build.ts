import { readFileSync } from 'node:fs';
import type { Build } from '../metrics/self.ts';

/** The members of package.json that are needed; a release adds the last two. */
interface PackageFile {
  readonly version: string;
  readonly revision?: string;
  readonly buildDate?: string;
}

function packageFile(): PackageFile {
  const file = new URL('../../../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as PackageFile;
}

/** The version. The revision is the commit that the image has in its environment, or the package in its file. */
export function readBuild(environment: NodeJS.ProcessEnv, simulated: boolean): Build {
  const { version, revision = '' } = packageFile();
  return { version, revision: environment['KVM_TELEMETRY_REVISION'] ?? revision, simulated };
}

/** The text of `--version`, in the form of Prometheus and its exporters. */
export function versionText(environment: NodeJS.ProcessEnv): string {
  const { version, revision } = readBuild(environment, false);
  const lines = [
    ['build date', packageFile().buildDate ?? 'unknown'],
    ['node version', process.version],
    ['platform', `${process.platform}/${process.arch}`],
  ];
  return [
    `kvm-telemetry, version ${version} (revision: ${revision === '' ? 'unknown' : revision})`,
    ...lines.map(([name, value]) => `  ${`${name}:`.padEnd(18)}${value}`),
  ].join('\n');
}
