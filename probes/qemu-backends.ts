import { flag, type Options } from './qemu-options.ts';

/** What carries a disk, as far as the command line tells. */
export interface QemuDrive {
  /** Its node-name or the drive's id. */
  readonly node: string;
  /** cache.direct of the lowest node, where O_DIRECT counts; undefined where the node is not on the command line. */
  readonly direct: boolean | undefined;
  /** `native`, `io_uring` or `threads`; undefined is the default, `threads`, or not known. */
  readonly aio: string | undefined;
}

const MAX_LAYERS = 16;

/** The block nodes of the command line, by the name under which a device asks for them. */
export class QemuNodes {
  readonly #nodes = new Map<string, Options>();
  readonly #units = new Map<string, Set<string>>();

  /** A `-blockdev`. */
  add(node: Options): void {
    this.#nodes.set(node.get('node-name') ?? '', node);
  }

  /**
   * A `-drive`. One without an id is called after its interface and unit: `none0`, `virtio3` (blockdev.c drive_new()).
   *
   * @returns its name
   */
  addDrive(drive: Options, kind: string): string {
    const taken = this.#units.get(kind) ?? new Set();
    this.#units.set(kind, taken);
    let unit = drive.get('index') ?? drive.get('unit');
    for (let free = 0; unit === undefined; free++) if (!taken.has(String(free))) unit = String(free);
    taken.add(unit);
    const name = drive.get('id') ?? `${kind}${unit}`;
    this.#nodes.set(drive.get('node-name') ?? name, drive);
    this.#nodes.set(name, drive);
    return name;
  }

  /** What carries the disk that asks for a drive; undefined for a disk without one. */
  backendOf(drive: string | undefined): QemuDrive | undefined {
    return backendOf(drive, this.#nodes);
  }
}

/**
 * Follows a disk down to the node that opens the file or device. Layers that are written inside take cache.direct from
 * the one above, those that are named have their own (block.c bdrv_inherited_options()).
 */
function backendOf(drive: string | undefined, nodes: ReadonlyMap<string, Options>): QemuDrive | undefined {
  if (drive === undefined || drive === '') return undefined;
  let options = nodes.get(drive);
  if (options === undefined) return { node: drive, direct: undefined, aio: undefined };
  let prefix = '';
  let direct = isDirectByMode(options);
  let aio: string | undefined;
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    direct = flag(options, `${prefix}cache.direct`) ?? direct;
    aio = options.get(`${prefix}aio`) ?? aio;
    const below = nodes.get(options.get(`${prefix}file`) ?? '');
    if (options.has(`${prefix}file.driver`)) prefix += 'file.';
    else if (below !== undefined) {
      options = below;
      prefix = '';
      direct = false;
    } else break;
  }
  return { node: drive, direct, aio };
}

/** `cache=` of `-drive`: block.c bdrv_parse_cache_mode(). */
function isDirectByMode(options: Options): boolean {
  const mode = options.get('cache');
  return mode === 'none' || mode === 'off' || mode === 'directsync';
}
