import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

/** The lab's dependencies: Debian packages, unpacked into one folder. */
export interface Packages {
  /** `/usr`, `/boot` and `/lib` of the packages. */
  readonly root: string;
  /** Compressed image of the kernel. */
  readonly kernel: string;
  /** Folder of the kernel's modules, with `modules.dep`. */
  readonly modules: string;
  /** The command that starts QEMU, with the options that every start needs. */
  readonly qemu: readonly [string, ...string[]];
}

const RELEASE = 'bookworm';
const BACKPORTS = `${RELEASE}-backports`;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const QEMU = ['qemu-system-x86', 'qemu-system-common', 'qemu-system-data', 'seabios'];
const TOOLS = ['busybox-static', 'kmod', 'libkmod2'];
/** Change this name when the layout of the folder changes. */
const LAYOUT = 'v1';

const execute = promisify(execFile);

/**
 * Downloads missing packages and installs nothing. The versions are the ones that apt finds at that time;
 * remove the folder to fetch new ones.
 * @param folder outside the tree, kept between runs
 */
export async function packages(folder = cacheFolder()): Promise<Packages> {
  const root = join(folder, LAYOUT);
  if (!existsSync(root)) {
    mkdirSync(folder, { recursive: true });
    const work = mkdtempSync(join(folder, 'new-'));
    try {
      await download(work);
      // A rename is atomic: the folder is complete even if another process does the same at the same time.
      if (!existsSync(root)) renameSync(join(work, 'root'), root);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  const kernel = kernelIn(process.env['LAB_KERNEL'] || root);
  if (!existsSync(join(kernel.modules, 'modules.dep'))) await indexModules(root, kernel.modules);
  return { root, ...kernel, qemu: await chooseQemu(root) };
}

/** @param root into which the packages of a kernel were unpacked; Debian 13 and Ubuntu have their files in other places */
function kernelIn(root: string): Pick<Packages, 'kernel' | 'modules'> {
  for (const folder of ['usr/lib/modules', 'lib/modules']) {
    const path = join(root, folder);
    const [release] = existsSync(path) ? readdirSync(path) : [];
    if (release === undefined) continue;
    const modules = join(path, release);
    const images = [join(modules, 'vmlinuz'), join(root, 'boot', `vmlinuz-${release}`)];
    const kernel = images.find((image) => existsSync(image));
    if (kernel !== undefined) return { kernel, modules };
  }
  throw new Error(`no kernel in ${root}: unpack its packages there, or remove the folder`);
}

async function indexModules(root: string, modules: string): Promise<void> {
  const base = modules.slice(0, modules.lastIndexOf('/lib/modules/'));
  await execute(join(root, 'bin/depmod'), ['-b', base, basename(modules)], {
    env: { ...process.env, LD_LIBRARY_PATH: join(root, 'usr/lib/x86_64-linux-gnu') },
  });
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'kvm-telemetry-lab');
}

async function download(work: string): Promise<void> {
  const root = join(work, 'root');
  const environment = { ...process.env, APT_CONFIG: aptConfiguration(work) };
  const run = async (command: string, ...args: string[]): Promise<string> =>
    (await execute(command, args, { cwd: work, env: environment, maxBuffer: 2 ** 24 })).stdout;

  await run('apt-get', '-q', 'update');
  const kernel = /Depends: (linux-image-\S+)/.exec(
    await run('apt-cache', 'depends', 'linux-image-amd64'),
  )?.[1];
  if (kernel === undefined) throw new Error('apt knows no kernel');
  await run('apt-get', '-q', 'download', kernel, ...TOOLS);
  await run('apt-get', '-q', `--target-release=${BACKPORTS}`, 'download', ...QEMU).catch(() =>
    // The backport is only more stable; the QEMU of the machine works too.
    writeFileSync(join(work, 'no-backports'), ''),
  );
  for (const file of readdirSync(work).filter((name) => name.endsWith('.deb')))
    await run('dpkg', '-x', file, root);
  // kmod acts by the name it is called with, and the package's own link points to the machine's kmod.
  symlinkSync('kmod', join(root, 'bin/depmod'));
}

/**
 * A separate apt: own lists, own sources and no installed packages, so the machine's configuration has no
 * effect.
 */
function aptConfiguration(work: string): string {
  for (const folder of ['apt/lists/partial', 'apt/cache/archives/partial'])
    mkdirSync(join(work, folder), { recursive: true });
  const sources = [`debian ${RELEASE}`, `debian ${BACKPORTS}`, `debian-security ${RELEASE}-security`].map(
    (source) => `deb [arch=amd64 signed-by=${KEYRING}] http://deb.debian.org/${source} main\n`,
  );
  writeFileSync(join(work, 'apt/sources'), sources.join(''));
  writeFileSync(join(work, 'apt/status'), '');
  const file = join(work, 'apt/conf');
  writeFileSync(
    file,
    `Dir::State "${work}/apt";
Dir::State::status "${work}/apt/status";
Dir::Cache "${work}/apt/cache";
Dir::Etc::sourcelist "${work}/apt/sources";
Dir::Etc::sourceparts "-";
APT::Architecture "amd64";
APT::Sandbox::User "root";
`,
  );
  return file;
}

/** The downloaded QEMU uses the machine's libraries. If they do not match, use the machine's QEMU. */
async function chooseQemu(root: string): Promise<Packages['qemu']> {
  const program = join(root, 'usr/bin/qemu-system-x86_64');
  try {
    await execute(program, ['--version']);
    return [program, '-L', join(root, 'usr/share/qemu'), '-L', join(root, 'usr/share/seabios')];
  } catch {
    return ['qemu-system-x86_64'];
  }
}
