// `npm run sbom`: the bill of materials of what is shipped (CycloneDX), on standard output.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { root } from './prepare.mjs';

/**
 * `npm sbom --omit=dev` (npm 11.19) also leaves out packages that are needed by both the exporter and a development dependency.
 * So all are listed, and the lock file decides.
 */
export function billOfMaterials() {
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx'];
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`npm sbom: exit ${status}: ${stderr}`);
  // The serial number and the time differ in each run.
  const { serialNumber: _, metadata, components, dependencies, ...bom } = JSON.parse(stdout);
  const { timestamp: __, ...about } = metadata;
  const shipped = shippedPackages();
  const kept = components.filter((component) => shipped.has(component['bom-ref']));
  const refs = new Set([about.component['bom-ref'], ...kept.map((component) => component['bom-ref'])]);
  return {
    ...bom,
    metadata: about,
    components: kept,
    dependencies: dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => refs.has(other)) })),
  };
}

/** References of npm, `name@version`, of everything that is no development dependency. */
function shippedPackages() {
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
  return new Set(
    Object.entries(packages)
      .filter(([path, { dev }]) => path !== '' && dev !== true)
      .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`),
  );
}

if (process.argv[1] === import.meta.filename) console.log(JSON.stringify(billOfMaterials(), undefined, 1));
