// Makes a fresh clone ready: installs what package-lock.json names, and builds. Plain JavaScript, as nothing is built yet.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command in the project's folder; ends this process when it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** Becomes a program of ours: it has the terminal, and this process ends when it does, as it does. */
export function become(args) {
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  // The terminal signals the whole group: the program cleans up by itself, and this process waits for it.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 1));
}

/**
 * Installs dependencies unless what is installed is as new as the lock file. Not `npm ci`: it refuses a lock file that was
 * made behind a registry without the optional binaries of other platforms; `--no-save` keeps to the lock file as well.
 */
export function install() {
  const marker = `${root}node_modules/.package-lock.json`;
  const lock = `${root}package-lock.json`;
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return;
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 2, 2],
  });
}

/** Installs and builds what is not as new as what it is made of. */
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

/** Of a folder all that is in it, and the folder itself, as a file may be gone. */
function isOlder(path, mtimeMs) {
  const stat = statSync(path);
  if (stat.mtimeMs >= mtimeMs) return false;
  if (!stat.isDirectory()) return true;
  return readdirSync(path).every(
    (name) => name === 'node_modules' || name === 'fixtures' || isOlder(`${path}/${name}`, mtimeMs),
  );
}

/** Node's part, the browser's part (the live page, the dashboards' preview), and of the latter what needs no compiling. */
export function build() {
  const began = new Date();
  for (const project of ['tsconfig.json', 'tsconfig.page.json']) {
    run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', project], {
      stdio: ['ignore', 2, 2],
    });
  }
  // The image is built without dashboards.
  const pages = ['exporter/web/page', 'dashboards/preview/page'].filter((page) => existsSync(root + page));
  for (const page of pages) {
    for (const file of ['index.html', 'page.css'])
      cpSync(`${root}${page}/${file}`, `${root}dist/${page}/${file}`);
  }
  // What is changed while it is built is newer.
  writeFileSync(BUILT, '');
  utimesSync(BUILT, began, began);
}
