// /usr/lib/kvm-telemetry of a package.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root } from '../prepare.mjs';
import { billOfMaterials } from '../sbom.mjs';
import { compressed, copy, execute } from './files.mjs';

/** The current LTS, exact so that the same commit gives the same bytes also later. A release raises it (RELEASE.md). */
const NODE_VERSION = '24.22.3';
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

/** /usr/lib/kvm-telemetry: Node.js, modules and the compiled exporter. */
export function program(stage, { arch, cpu, work, manifest, revision, epoch }) {
  const home = join(stage, 'usr/lib/kvm-telemetry');
  mkdirSync(home, { recursive: true });
  const node = npmInstall({ cpu, work }, 'node', [`node-linux-${cpu}@${NODE_VERSION}`], []);
  cpSync(`${node}/node_modules/node-linux-${cpu}/bin/node`, `${home}/node`);
  const strip = [STRIP[arch], 'strip'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (strip !== undefined) execute(strip, ['--strip-all', `${home}/node`]);
  else process.stderr.write('strip is missing: the package is larger (apt-get install binutils)\n');
  compressed(
    join(stage, 'usr/share/doc/kvm-telemetry/node-LICENSE'),
    readFileSync(`${node}/node_modules/node-linux-${cpu}/LICENSE`),
  );

  const modules = npmInstall({ cpu, work }, 'modules', [], ['package.json', 'package-lock.json']);
  cpSync(`${modules}/node_modules`, `${home}/node_modules`, {
    recursive: true,
    filter: (from) => isUsed(from.slice(`${modules}/node_modules`.length + 1)),
  });
  rmSync(`${home}/node_modules/.package-lock.json`, { force: true });
  compressed(
    join(stage, 'usr/share/doc/kvm-telemetry/sbom.cdx.json'),
    billOfMaterialsWithNode({ cpu, work, epoch }),
  );
  removeEmpty(`${home}/node_modules`);
  for (const folder of ['exporter', 'kernel', 'probes', 'promql', 'lab'])
    cpSync(`${root}dist/${folder}`, `${home}/dist/${folder}`, {
      recursive: true,
      filter: (from) => !from.endsWith('.map') && !/\/lab\/(history|alert-study)$/.test(from),
    });
  // Not executable: the launcher passes it to Node.js.
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

function npmInstall({ cpu, work }, name, packages, lock) {
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

/** With the time of the commit, and with Node.js, which is no module. */
function billOfMaterialsWithNode({ cpu, work, epoch }) {
  const bom = billOfMaterials([cpu]);
  bom.metadata.timestamp = new Date(epoch * 1000).toISOString();
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
