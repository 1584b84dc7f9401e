import { getOrInsert } from '../../kernel/maps.ts';
import { isGone } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type Mount, readMountinfo } from '../../probes/proc-mountinfo.ts';

const TIMEOUT_MS = 500;

/** Mounts by process; each process is read once per pass. */
export class MountCache {
  readonly #mounts = new Map<number, Promise<Mount[]>>();

  constructor(private readonly host: Host) {}

  of(pid: number): Promise<Mount[]> {
    return getOrInsert(this.#mounts, pid, () =>
      readMountinfo(this.host, pid, TIMEOUT_MS).catch((error: unknown) => {
        if (isGone(error)) return [];
        throw error;
      }),
    );
  }
}
