import { getOrInsert } from '../kernel/maps.ts';
import { flag, type Options } from './qemu-options.ts';

/** Backend of a disk, as far as the command line shows it. */
export interface QemuDrive {
  /** node-name, or the id of the drive. */
  readonly node: string;
  /** cache.direct of the lowest node, which determines O_DIRECT; undefined without the node's options. */
  readonly direct: boolean | undefined;
  /** `native`, `io_uring` or `threads`; undefined means the default, `threads`, or unknown. */
  readonly aio: string | undefined;
}

const MAX_LAYERS = 16;

/** The block nodes of the command line, by the name that a device uses for them. */
export class QemuNodes {
  readonly #nodes = new Map<string, Options>();
  /** Units by interface, and the unit from which the search for a free one starts. */
  readonly #units = new Map<string, { readonly taken: Set<string>; next: number }>();

  /** Adds a `-blockdev`. */
  add(node: Options): void {
    this.#nodes.set(node.get('node-name') ?? '', node);
  }

  /**
   * Adds a `-drive`. Without an id, QEMU names it after its interface and unit: `none0`, `virtio3`
   * (blockdev.c drive_new()).
   *
   * @returns the name
   */
  addDrive(drive: Options, kind: string): string {
    const units = getOrInsert(this.#units, kind, () => ({ taken: new Set<string>(), next: 0 }));
    const given = drive.get('index') ?? drive.get('unit');
    if (given === undefined) while (units.taken.has(String(units.next))) units.next++;
    const unit = given ?? String(units.next);
    units.taken.add(unit);
    const name = drive.get('id') ?? `${kind}${unit}`;
    this.#nodes.set(drive.get('node-name') ?? name, drive);
    this.#nodes.set(name, drive);
    return name;
  }

  /** Backend of the disk that refers to this drive; undefined for a disk without one, and for a CD-ROM. */
  backendOf(drive: string | undefined): QemuDrive | undefined {
    if (this.#nodes.get(drive ?? '')?.get('media') === 'cdrom') return undefined;
    return backendOf(drive, this.#nodes);
  }
}

/**
 * Follows a disk down to the node that opens the file or device. An inline child node inherits cache.direct
 * from its parent; a child referenced by name has its own (block.c bdrv_inherited_options()).
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
  // The nodes below quorum may differ.
  if (options.has(`${prefix}children.0`) || options.has(`${prefix}children.0.driver`))
    return { node: drive, direct: undefined, aio: undefined };
  return { node: drive, direct, aio };
}

/** `cache=` of `-drive`, as block.c bdrv_parse_cache_mode() parses it. */
function isDirectByMode(options: Options): boolean {
  const mode = options.get('cache');
  return mode === 'none' || mode === 'off' || mode === 'directsync';
}
