// The Debian package of a tree.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../prepare.mjs';
import { all, compressed, copy, execute, normalize } from './files.mjs';

export function buildDeb(stage, options) {
  documents(stage, options);
  control(stage, options);
  return pack(stage, options);
}

function documents(stage, { manifest, epoch }) {
  const share = join(stage, 'usr/share');
  const entry = `kvm-telemetry (${manifest.version}) stable; urgency=medium\n\n  * See https://github.com/kvm-telemetry/kvm-telemetry/blob/main/CHANGELOG.md\n\n -- kvm-telemetry maintainers <maintainers@kvm-telemetry.example.org>  ${new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')}\n`;
  compressed(join(share, 'doc/kvm-telemetry/changelog'), entry);
  const overrides = readFileSync(`${root}deploy/debian/lintian-overrides`, 'utf8');
  const file = join(share, 'lintian/overrides/kvm-telemetry');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, overrides);
}

function control(stage, { manifest, arch }) {
  const folder = join(stage, 'DEBIAN');
  const packed = all(stage).filter((path) => statSync(path).isFile());
  mkdirSync(folder);
  const size = Math.ceil(packed.reduce((sum, path) => sum + statSync(path).size, 0) / 1024);
  const fields = { VERSION: manifest.version, ARCH: arch, SIZE: String(size) };
  const text = readFileSync(`${root}deploy/debian/control`, 'utf8');
  writeFileSync(
    `${folder}/control`,
    text.replace(/@(\w+)@/g, (_, name) => fields[name]),
  );
  for (const name of ['conffiles', 'postinst', 'prerm', 'postrm'])
    copy(`deploy/debian/${name}`, `${folder}/${name}`);
  const sums = packed.map((path) => path.slice(stage.length + 1)).filter((path) => !path.startsWith('etc/'));
  const { stdout } = spawnSync('md5sum', sums.sort(), { cwd: stage, encoding: 'utf8', maxBuffer: 1 << 26 });
  writeFileSync(`${folder}/md5sums`, stdout);
}

function pack(stage, { manifest, arch, epoch, out, fast }) {
  normalize(stage, epoch);
  mkdirSync(out, { recursive: true });
  const file = join(out, `kvm-telemetry_${manifest.version}_${arch}.deb`);
  const compression = fast ? ['-Zgzip', '-z1'] : ['-Zxz', '-z9'];
  execute('dpkg-deb', ['--root-owner-group', ...compression, '--build', stage, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
  });
  return file;
}
