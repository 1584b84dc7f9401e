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

/** The name by which a device asks for it. */
export function nodeOf(options: Options): string {
  return options.get('node-name') ?? options.get('id') ?? '';
}

/**
 * Follows a disk down to the node that opens the file or device. Layers that are written inside take cache.direct from
 * the one above, those that are named have their own (block.c bdrv_inherited_options()).
 */
export function backendOf(
  drive: string | undefined,
  nodes: ReadonlyMap<string, Options>,
): QemuDrive | undefined {
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
