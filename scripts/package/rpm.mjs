// The rpm of a tree.
import { chmodSync, copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../prepare.mjs';
import { all, execute, normalize } from './files.mjs';

/** Architecture of Debian to that of rpm. */
const ARCHITECTURES = { amd64: 'x86_64', arm64: 'aarch64' };

export function buildRpm(stage, { manifest, arch, epoch, out, fast, release, work }) {
  normalize(stage, epoch);
  const architecture = ARCHITECTURES[arch];
  const fields = { VERSION: manifest.version, RELEASE: release, FILES: list(stage).join('\n') };
  const spec = readFileSync(`${root}deploy/rpm/kvm-telemetry.spec`, 'utf8');
  const file = join(work, 'kvm-telemetry.spec');
  writeFileSync(
    file,
    spec.replace(/@(\w+)@/g, (_, name) => fields[name]),
  );
  const macros = {
    _topdir: join(work, 'rpmbuild'),
    _dbpath: join(work, 'rpmdb'),
    // The root is moved into place by %install: rpmbuild empties its own before.
    tree: stage,
    _binary_payload: fast ? 'w1.gzdio' : 'w9.xzdio',
    _buildhost: 'reproducible',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    _build_id_links: 'none',
  };
  const definitions = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  mkdirSync(macros._topdir, { recursive: true });
  execute('rpmbuild', ['-bb', '--quiet', '--target', architecture, ...definitions, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
  });
  const name = `kvm-telemetry-${manifest.version}-${release}.${architecture}.rpm`;
  copyFileSync(join(macros._topdir, 'RPMS', architecture, name), join(out, name));
  chmodSync(join(out, name), 0o644);
  return join(out, name);
}

/** Lines of %files: what the package owns, and how an upgrade treats it. */
function list(stage) {
  return all(stage)
    .sort()
    .flatMap((path) => {
      const name = path.slice(stage.length);
      if (statSync(path).isDirectory()) return name.includes('kvm-telemetry') ? [`%dir "${name}"`] : [];
      return [`${name.startsWith('/etc/') ? '%config(noreplace) ' : ''}"${name}"`];
    });
}
