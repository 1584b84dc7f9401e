// Prepares a fresh clone: installs the packages of package-lock.json, and builds. Plain JavaScript, because
// nothing is built yet.
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command in the project's folder. Exits if the command fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/**
 * Runs a program of the project in the foreground: it gets the terminal, and this process exits with its
 * status.
 */
export function become(args) {
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  // A terminal signals the whole group: the program cleans up by itself, and this process waits for it.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 1));
}

/**
 * Installs dependencies if the lock file is newer than the installation. Not with `npm ci`, which refuses a
 * lock file that was made behind a registry without the optional binaries of other platforms; `npm
 * install --no-save` installs the versions of the lock file as well.
 */
export function install() {
  const marker = `${root}node_modules/.package-lock.json`;
  const lock = `${root}package-lock.json`;
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return;
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 2, 2],
  });
}

/** Installs and builds whatever is older than its sources. */
export function ready() {
  install();
  if (!isBuilt()) build();
}

const BUILT = `${root}dist/.built`;

function isBuilt() {
  if (!existsSync(BUILT)) return false;
  const { mtimeMs } = statSync(BUILT);
  const { include } = JSON.parse(readFileSync(`${root}tsconfig.json`, 'utf8'));
  const more = ['package-lock.json', 'tsconfig.json', 'tsconfig.page.json'];
  return [...more, ...include].every((path) => isOlder(root + path, mtimeMs));
}

/** For a folder this checks its contents and the folder itself, because a file may have been removed. */
function isOlder(path, mtimeMs) {
  const stat = statSync(path);
  if (stat.mtimeMs >= mtimeMs) return false;
  if (!stat.isDirectory()) return true;
  return readdirSync(path).every(
    (name) => name === 'node_modules' || name === 'fixtures' || isOlder(`${path}/${name}`, mtimeMs),
  );
}

/**
 * Builds the code for node, the code for the browser (live page and dashboards preview), and copies the
 * static files.
 */
export function build() {
  const began = new Date();
  removeStale();
  for (const project of ['tsconfig.json', 'tsconfig.page.json']) {
    run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', project], {
      stdio: ['ignore', 2, 2],
    });
  }
  // The container image is built without dashboards.
  const pages = ['exporter/page/browser', 'dashboards/preview/page'].filter((page) =>
    existsSync(root + page),
  );
  for (const page of pages) {
    for (const file of ['index.html', 'page.css'])
      cpSync(`${root}${page}/${file}`, `${root}dist/${page}/${file}`);
  }
  for (const object of readdirSync(`${root}probes/bpf`).filter((name) => name.endsWith('.bpf.o')))
    cpSync(`${root}probes/bpf/${object}`, `${root}dist/probes/bpf/${object}`);
  // Files that change during the build must count as newer.
  writeFileSync(BUILT, '');
  utimesSync(BUILT, began, began);
}

/** Removes compiled files whose source was moved or deleted: node's runner would still find the old tests. */
function removeStale() {
  for (const folder of JSON.parse(readFileSync(`${root}tsconfig.json`, 'utf8')).include) {
    if (!existsSync(`${root}dist/${folder}`)) continue;
    for (const name of readdirSync(`${root}dist/${folder}`, { recursive: true })) {
      const path = `${folder}/${name}`;
      if (path.endsWith('.js') && !existsSync(`${root}${path.replace(/js$/, 'ts')}`))
        rmSync(`${root}dist/${path}`);
    }
  }
}
