import { SourceError } from '../../probes/errors.ts';
import { type Host, utf8 } from '../../probes/host.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import type { FileKind } from '../../probes/rooted-file.ts';
import type { Carriers } from './carriers.ts';
import { carriersOfMount, mountOfPath } from './file-systems.ts';
import type { BlockDevices } from './whole-disks.ts';

const TIMEOUT_MS = 500;
/** A tenant chooses how many files a VM has open, and Docker allows 128 layers. */
const MAX_CHECKS = 4096;
/** A layer on a dead network file system costs this many timeouts in a pass. */
const MAX_TIMEOUTS = 2;

/** Finds the file systems of files. Serves one pass: reads each fact once, and limits the duration of the pass. */
export class FileLookups {
  readonly #mounts = new Map<string, Mount | undefined>();
  readonly #carriers = new Map<string, Carriers>();
  #checks = 0;
  #timeouts = 0;

  constructor(private readonly host: Host) {}

  /** The mount of a layer of an overlay: many files share it, and there may be 20,000 mounts. */
  mountOf(hostMounts: readonly Mount[], layer: string): Mount | undefined {
    if (!this.#mounts.has(layer)) this.#mounts.set(layer, mountOfPath(hostMounts, layer));
    return this.#mounts.get(layer);
  }

  carriersOf(devices: BlockDevices, mount: Mount): Carriers {
    const { device, type, source, options, mountPoint } = mount;
    const key = [device.major, device.minor, type, source, options, mountPoint].join(' ');
    const known = this.#carriers.get(key) ?? carriersOfMount(devices, mount);
    this.#carriers.set(key, known);
    return known;
  }

  /**
   * Finds the layer of an overlay that has a file, as process 1 sees the layers. Reads no file.
   *
   * @param layers topmost first
   * @returns index of the layer; undefined if it is unknown
   */
  async holderOf(layers: readonly string[], path: string): Promise<number | undefined> {
    for (const [i, layer] of layers.entries()) {
      const kind = await this.#kindOf(utf8(layer), utf8(path));
      if (kind === 'file') return i;
      // A whiteout or a link hides the layers below, so the file has another path there.
      if (kind !== 'absent') return undefined;
    }
    return undefined;
  }

  async #kindOf(layer: string, path: string): Promise<FileKind> {
    const isReadable = !`${layer}${path}`.includes('\ufffd');
    if (!isReadable || this.#checks >= MAX_CHECKS || this.#timeouts >= MAX_TIMEOUTS) return 'other';
    this.#checks++;
    try {
      return await this.host.kindOfProcessFile(1, layer, path, TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (error.kind === 'timeout') this.#timeouts++;
      return 'other';
    }
  }
}
