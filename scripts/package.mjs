// `npm run package`: dist/packages/kvm-telemetry_VERSION_ARCH.deb, the same bytes for the same commit.
//   --arch arm64   for another architecture (untried); default amd64
//   --out FOLDER
//   --fast         compress less, for tests
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { ready, root } from './prepare.mjs';

/** The current LTS. */
const NODE_MAJOR = 24;
/** Architecture of Debian to that of npm. */
const CPUS = { amd64: 'x64', arm64: 'arm64' };
const STRIP = { amd64: 'x86_64-linux-gnu-strip', arm64: 'aarch64-linux-gnu-strip' };
/** Folders at the top of a module, and files, that no program loads. Licences stay. */
const UNUSED =
  /^(@[^/]+\/)?[^/]+\/(tests?|docs?|examples?|benchmarks?|coverage|vendor|\.github)(\/|$)|(^|\/)\.[^/]*|\.(ts|mts|cts|map|md|markdown|cc|hh|inc|def|S|asm|html|sh)$/i;
/** Parts of single modules: builds for browsers and sources. */
const UNUSED_PARTS = [
  'zod/src',
  'koffi/cnoke.cjs',
  '@koromix/koffi-linux-x64/musl_x64',
  '@opentelemetry/api/build/esm',
  '@opentelemetry/api/build/esnext',
  'fast-xml-parser/lib',
  'uplot/dist/uPlot.iife.js',
  'uplot/dist/uPlot.iife.min.js',
  'uplot/dist/uPlot.cjs.js',
];

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: 'amd64' },
    out: { type: 'string', default: `${root}dist/packages` },
    fast: { type: 'boolean', default: false },
  },
});
const { arch, out, fast } = values;
const cpu = CPUS[arch];
if (cpu === undefined) throw new Error(`--arch: ${arch}: give ${Object.keys(CPUS).join(' or ')}`);

ready();
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
const revision = git('rev-parse', 'HEAD');
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? (git('log', '-1', '--format=%ct') || 0));
const work = mkdtempSync(join(tmpdir(), 'kvm-telemetry-package-'));
try {
  const stage = join(work, 'root');
  program(stage);
  files(stage);
  control(stage);
  pack(stage);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** /usr/lib/kvm-telemetry: Node.js, modules and the compiled exporter. */
function program(stage) {
  const home = join(stage, 'usr/lib/kvm-telemetry');
  mkdirSync(home, { recursive: true });
  const node = npmInstall('node', [`node-linux-${cpu}@${NODE_MAJOR}`], []);
  cpSync(`${node}/node_modules/node-linux-${cpu}/bin/node`, `${home}/node`);
  const strip = [STRIP[arch], 'strip'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (strip !== undefined) execute(strip, ['--strip-all', `${home}/node`]);
  else console.error('strip is missing: the package is larger (apt-get install binutils)');
  compressed(
    join(stage, 'usr/share/doc/kvm-telemetry/node-LICENSE'),
    readFileSync(`${node}/node_modules/node-linux-${cpu}/LICENSE`),
  );

  const modules = npmInstall('modules', [], ['package.json', 'package-lock.json']);
  cpSync(`${modules}/node_modules`, `${home}/node_modules`, {
    recursive: true,
    filter: (from) => isUsed(from.slice(`${modules}/node_modules`.length + 1)),
  });
  rmSync(`${home}/node_modules/.package-lock.json`, { force: true });
  compressed(join(stage, 'usr/share/doc/kvm-telemetry/sbom.cdx.json'), billOfMaterials(modules));
  removeEmpty(`${home}/node_modules`);
  for (const folder of ['exporter', 'kernel', 'probes', 'promql', 'lab'])
    cpSync(`${root}dist/${folder}`, `${home}/dist/${folder}`, {
      recursive: true,
      filter: (from) => !from.endsWith('.map') && !/\/lab\/(history|alert-study)$/.test(from),
    });
  // Nobody executes it: the launcher passes it to Node.js.
  const main = `${home}/dist/exporter/main.js`;
  writeFileSync(main, readFileSync(main, 'utf8').replace(/^#!.*\n/, ''));
  copy('deploy/demo/rules.yaml', `${home}/deploy/demo/rules.yaml`);
  const { name, version, type } = manifest;
  const buildDate = new Date(epoch * 1000).toISOString();
  writeFileSync(
    `${home}/package.json`,
    `${JSON.stringify({ name, version, type, revision, buildDate }, undefined, 2)}\n`,
  );
}

/** Everything outside /usr/lib. */
function files(stage) {
  const share = join(stage, 'usr/share');
  copy('deploy/debian/kvm-telemetry', join(stage, 'usr/bin/kvm-telemetry'));
  copy('deploy/debian/kvm-telemetry.yaml', join(stage, 'etc/kvm-telemetry/kvm-telemetry.yaml'));
  copy('deploy/debian/default', join(stage, 'etc/default/kvm-telemetry'));
  mkdirSync(join(stage, 'var/lib/kvm-telemetry'), { recursive: true });
  const unit = join(stage, 'lib/systemd/system/kvm-telemetry.service');
  mkdirSync(dirname(unit), { recursive: true });
  const text = readFileSync(`${root}deploy/systemd/kvm-telemetry.service`, 'utf8');
  writeFileSync(unit, text.replace('/usr/local/bin/kvm-telemetry', '/usr/bin/kvm-telemetry'));
  copy('deploy/systemd/kvm-telemetry.socket', join(dirname(unit), 'kvm-telemetry.socket'));
  copy('deploy/systemd/hardened.conf', join(share, 'kvm-telemetry/systemd/hardened.conf'));
  compressed(join(share, 'man/man1/kvm-telemetry.1'), readFileSync(`${root}deploy/man/kvm-telemetry.1`));
  copy('deploy/completion/kvm-telemetry.bash', join(share, 'bash-completion/completions/kvm-telemetry'));
  copy('deploy/completion/_kvm-telemetry', join(share, 'zsh/vendor-completions/_kvm-telemetry'));
  copy('deploy/completion/kvm-telemetry.fish', join(share, 'fish/vendor_completions.d/kvm-telemetry.fish'));
  cpSync(`${root}alerts/generated`, join(share, 'kvm-telemetry/rules'), { recursive: true });
  cpSync(`${root}alerts/runbooks`, join(share, 'kvm-telemetry/runbooks'), { recursive: true });
  cpSync(`${root}dashboards/generated`, join(share, 'kvm-telemetry/dashboards'), { recursive: true });
  copy('deploy/debian/copyright', join(share, 'doc/kvm-telemetry/copyright'));
  const entry = `kvm-telemetry (${manifest.version}) stable; urgency=medium\n\n  * See https://github.com/kvm-telemetry/kvm-telemetry/blob/main/CHANGELOG.md\n\n -- kvm-telemetry maintainers <maintainers@kvm-telemetry.example.org>  ${new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')}\n`;
  compressed(join(share, 'doc/kvm-telemetry/changelog'), entry);
  const overrides = readFileSync(`${root}deploy/debian/lintian-overrides`, 'utf8');
  const file = join(share, 'lintian/overrides/kvm-telemetry');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, overrides);
}

function control(stage) {
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

/** The same modes and times everywhere, and then the archive. */
function pack(stage) {
  for (const path of [...all(stage), stage]) {
    const isProgram =
      statSync(path).isDirectory() ||
      /\/(DEBIAN\/(postinst|prerm|postrm)|usr\/bin\/kvm-telemetry|usr\/lib\/kvm-telemetry\/node)$/.test(path);
    chmodSync(path, isProgram ? 0o755 : 0o644);
    lutimesSync(path, epoch, epoch);
  }
  chmodSync(join(stage, 'var/lib/kvm-telemetry'), 0o750);
  mkdirSync(out, { recursive: true });
  const file = join(out, `kvm-telemetry_${manifest.version}_${arch}.deb`);
  const compression = fast ? ['-Zgzip', '-z1'] : ['-Zxz', '-z9'];
  execute('dpkg-deb', ['--root-owner-group', ...compression, '--build', stage, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
  });
  console.log(`${file}: ${(statSync(file).size / 1e6).toFixed(1)} MB`);
}

function npmInstall(name, packages, lock) {
  const folder = join(work, name);
  mkdirSync(folder);
  for (const file of lock) cpSync(root + file, join(folder, basename(file)));
  const quiet = [
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--ignore-scripts',
    '--prefer-offline',
  ];
  execute(
    'npm',
    ['install', '--prefix', folder, ...quiet, '--omit=dev', `--cpu=${cpu}`, '--os=linux', ...packages],
    {
      cwd: folder,
    },
  );
  return folder;
}

/** CycloneDX, without the two fields that differ in each run, and with Node.js, which is no module. */
function billOfMaterials(folder) {
  const args = ['sbom', '--package-lock-only', '--omit', 'dev', '--sbom-format', 'cyclonedx'];
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`npm sbom: exit ${status}: ${stderr}`);
  const { serialNumber: _, metadata, ...bom } = JSON.parse(stdout);
  bom.metadata = { ...metadata, timestamp: new Date(epoch * 1000).toISOString() };
  const node = JSON.parse(readFileSync(`${work}/node/node_modules/node-linux-${cpu}/package.json`, 'utf8'));
  const purl = `pkg:generic/node@${node.version}`;
  bom.components.push({ 'bom-ref': purl, type: 'application', name: 'node', version: node.version, purl });
  return JSON.stringify(bom, undefined, 1);
}

function isUsed(path) {
  if (path === '' || /(^|\/)(licen[cs]e|notice|copying)[^/]*$/i.test(path)) return true;
  return !UNUSED.test(path) && !UNUSED_PARTS.some((part) => path === part || path.startsWith(`${part}/`));
}

function removeEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmpty(join(folder, entry.name));
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}

function all(folder) {
  return readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(root + from, to);
}

function compressed(file, content) {
  mkdirSync(dirname(file), { recursive: true });
  // zlib writes no time and no name into the header.
  writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
}

function git(...args) {
  if (!existsSync(`${root}.git`)) return '';
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();
}

function execute(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command}: exit ${status}`);
}
