// `npm run sbom`: the bill of materials of what is shipped (CycloneDX), on standard output.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { root } from './prepare.mjs';

/**
 * `npm sbom --omit=dev` (npm 11.19) also leaves out packages that are needed by both the exporter and a development dependency.
 * So all are listed, and the lock file decides.
 *
 * @param cpus whose native modules are shipped, in npm's names
 */
export function billOfMaterials(cpus = ['x64', 'arm64']) {
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx'];
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`npm sbom: exit ${status}: ${stderr}`);
  // Remove the serial number and the time, which differ in each run.
  const { serialNumber: _, metadata, components, dependencies, ...bom } = JSON.parse(stdout);
  const { timestamp: __, ...about } = metadata;
  // npm names the folder in which it runs.
  about.component.name = JSON.parse(readFileSync(`${root}package.json`, 'utf8')).name;
  const shipped = shippedPackages(cpus);
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

/** References of npm, `name@version`, of everything for Linux that is no development dependency. */
function shippedPackages(cpus) {
  const fits = ({ os = ['linux'], cpu = cpus }) =>
    os.includes('linux') && cpu.some((each) => cpus.includes(each));
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
  return new Set(
    Object.entries(packages)
      .filter(([path, locked]) => path !== '' && locked.dev !== true && fits(locked))
      .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`),
  );
}

if (process.argv[1] === import.meta.filename) console.log(JSON.stringify(billOfMaterials(), undefined, 1));
