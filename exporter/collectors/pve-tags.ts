import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readUptime } from '../../probes/proc-uptime.ts';
import { readPvePid, readPveTags } from '../../probes/pve-qemu-conf.ts';
import type { Vm } from '../model/vm.ts';

/** How old tags may be. */
const TAGS_SECONDS = 60;
const TIMEOUT_MS = 2_000;

interface Tags {
  /** Seconds since boot. */
  readonly at: number;
  readonly tags: string;
}

/** Tags of the VMs of Proxmox VE. Read between scrapes, because /etc/pve may hang. */
export class PveTags {
  readonly #known = new Map<string, Tags>();
  #problem: SourceError | undefined;
  #isReading = false;

  /** As last read, separated by commas; undefined: unknown. */
  of({ key }: Vm): string | undefined {
    return this.#known.get(key)?.tags;
  }

  /** Why tags are missing or old. */
  get problem(): SourceError | undefined {
    return this.#problem;
  }

  /** Starts the reads that are due. Does not wait for them. @throws SourceError if the uptime cannot be read */
  refresh(host: Host, vms: readonly Vm[]): void {
    const alive = new Set(vms.map(({ key }) => key));
    for (const key of this.#known.keys()) if (!alive.has(key)) this.#known.delete(key);
    const ofProxmox = vms.filter(({ vmid }) => vmid !== undefined);
    if (ofProxmox.length === 0 || this.#isReading) return;
    const now = readUptime(host);
    const isDue = ({ key }: Vm): boolean => now - (this.#known.get(key)?.at ?? -TAGS_SECONDS) >= TAGS_SECONDS;
    void this.#read(host, ofProxmox.filter(isDue), now);
  }

  /** One after the other. If the file system hangs, the known tags stay. */
  async #read(host: Host, due: readonly Vm[], now: number): Promise<void> {
    if (due.length === 0) return;
    this.#isReading = true;
    let problem: SourceError | undefined;
    for (const { key, vmid = 0, pid } of due) {
      try {
        const tags = readPvePid(host, vmid) === pid ? await tagsOf(host, vmid) : undefined;
        if (tags === undefined) this.#known.delete(key);
        else this.#known.set(key, { at: now, tags: tags.join(',') });
      } catch (error) {
        problem = sourceError(error, host.roots.pve);
        if (problem.kind === 'timeout') break;
      }
    }
    this.#problem = problem;
    this.#isReading = false;
  }
}

/** @returns undefined if the VM has no file: it was removed, or moved to another host */
async function tagsOf(host: Host, vmid: number): Promise<string[] | undefined> {
  try {
    return await readPveTags(host, vmid, TIMEOUT_MS);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
