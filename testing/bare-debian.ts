import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** debootstrap takes 20 s of CPU time: the next run on this machine starts from its archive. */
const CACHE = '/var/cache/kvm-telemetry-tests/bookworm-minbase.tar';

export interface BareDebian {
  readonly folder: string;
  /** Runs a command inside. @returns its output, both streams, and the exit code */
  run(command: string): { readonly code: number | null; readonly out: string };
}

/** A Debian 12 with its essential packages and apt, in a folder of its own, with /proc and /sys. */
export function bareDebian(context: Pick<TestContext, 'after'>): BareDebian {
  if (!existsSync(CACHE)) fillCache();
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-debian-'));
  const mounts = ['proc', 'sys'].map((name) => join(folder, name));
  context.after(() => {
    for (const mount of mounts) spawnSync('umount', ['--recursive', '--lazy', mount]);
    rmSync(folder, { recursive: true, force: true });
  });
  execute('tar', ['-xpf', CACHE, '-C', folder]);
  copyFileSync('/etc/resolv.conf', join(folder, 'etc/resolv.conf'));
  for (const mount of mounts)
    execute('mount', ['--rbind', '--make-rslave', `/${mount.slice(folder.length + 1)}`, mount]);
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LC_ALL: 'C',
    DEBIAN_FRONTEND: 'noninteractive',
  };
  return {
    folder,
    run(command) {
      const { status, stdout } = spawnSync('chroot', [folder, 'sh', '-c', `exec 2>&1; ${command}`], {
        env,
        encoding: 'utf8',
        timeout: 300_000,
      });
      return { code: status, out: stdout };
    },
  };
}

function fillCache(): void {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-debootstrap-'));
  try {
    execute('debootstrap', [
      '--variant=minbase',
      '--include=wget',
      'bookworm',
      folder,
      'http://deb.debian.org/debian',
    ]);
    mkdirSync(join(CACHE, '..'), { recursive: true });
    execute('tar', ['-cpf', `${CACHE}.new`, '-C', folder, '.']);
    renameSync(`${CACHE}.new`, CACHE);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function execute(command: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${command}: exit ${status}: ${stdout}${stderr}`);
}
