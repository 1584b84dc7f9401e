import { existsSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from './config/load.ts';

/** Two moments of a real host, taken so long apart. */
const MOMENTS = ['t0', 't1'] as const;
const APART_MS = 10_000;

export interface CapturedHost {
  /** For `--path.rootfs`: leads to the first moment and after 10 s to the second. */
  readonly rootfs: string;
  stop(): void;
}

/**
 * A captured host that moves once, so that counters show a rate: Debian 6.1 with a Linux guest on NVMe.
 *
 * @throws ConfigError where this is no checkout of the sources
 */
export function replayCapturedHost(): CapturedHost {
  const captures = fileURLToPath(new URL('../../test/fixtures/hosts/linux-nvme-vhost', import.meta.url));
  if (!existsSync(captures)) {
    throw new ConfigError(
      `demo: ${captures} is missing: the captured host comes with the sources, not with the package`,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-demo-'));
  const rootfs = join(folder, 'host');
  symlinkSync(join(captures, MOMENTS[0]), rootfs);
  const timer = setTimeout(() => {
    // A rename replaces the link at once: no read sees it missing.
    symlinkSync(join(captures, MOMENTS[1]), `${rootfs}.next`);
    renameSync(`${rootfs}.next`, rootfs);
  }, APART_MS);
  return {
    rootfs,
    stop() {
      clearTimeout(timer);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
