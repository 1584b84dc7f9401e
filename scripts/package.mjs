// `npm run package`: dist/packages/kvm-telemetry_VERSION_ARCH.deb, the same bytes for the same commit.
//   --rpm          an rpm instead
//   --arch arm64   for another architecture (untried); default amd64
//   --config FILE  another default configuration
//   --release N    of the rpm; default 1
//   --out FOLDER
//   --fast         compress less, for tests
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDeb } from './package/deb.mjs';
import { git } from './package/files.mjs';
import { program } from './package/program.mjs';
import { buildRpm } from './package/rpm.mjs';
import { files, LAYOUTS } from './package/tree.mjs';
import { ready, root } from './prepare.mjs';

/** Architecture of Debian to that of npm. */
const CPUS = { amd64: 'x64', arm64: 'arm64' };

const { values } = parseArgs({
  options: {
    rpm: { type: 'boolean', default: false },
    arch: { type: 'string', default: 'amd64' },
    config: { type: 'string', default: `${root}deploy/debian/kvm-telemetry.yaml` },
    release: { type: 'string', default: '1' },
    out: { type: 'string', default: `${root}dist/packages` },
    fast: { type: 'boolean', default: false },
  },
});
const cpu = CPUS[values.arch];
if (cpu === undefined) throw new Error(`--arch: ${values.arch}: give ${Object.keys(CPUS).join(' or ')}`);

ready();
const work = mkdtempSync(join(tmpdir(), 'kvm-telemetry-package-'));
try {
  const options = {
    ...values,
    cpu,
    work,
    layout: values.rpm ? LAYOUTS.rpm : LAYOUTS.deb,
    manifest: JSON.parse(readFileSync(`${root}package.json`, 'utf8')),
    revision: git('rev-parse', 'HEAD'),
    epoch: Number(process.env.SOURCE_DATE_EPOCH ?? (git('log', '-1', '--format=%ct') || 0)),
  };
  const stage = join(work, 'root');
  program(stage, options);
  files(stage, options);
  mkdirSync(values.out, { recursive: true });
  const file = values.rpm ? buildRpm(stage, options) : buildDeb(stage, options);
  console.log(`${file}: ${(statSync(file).size / 1e6).toFixed(1)} MB`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
