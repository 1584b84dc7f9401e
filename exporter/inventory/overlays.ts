import { posix } from 'node:path';
import { utf8 } from '../../probes/host.ts';
import { parseOverlayOptions } from '../../probes/overlay-layers.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { type Carriers, together, unknown } from './carriers.ts';
import type { FileLookups } from './file-lookups.ts';
import type { BlockDevices } from './whole-disks.ts';

/** An open file in the mount that contains it. */
export interface MountedFile {
  readonly mount: Mount;
  /** The path as its process sees it; latin1. */
  readonly path: string;
  /** In an overlay such a file may not have been copied up. */
  readonly readOnly: boolean;
}

/** An overlay may contain overlays: a container in a container. */
const MAX_DEPTH = 8;

/** The disks of a file's file system; in an overlay, of the layer that has the file. */
export async function carriersOfFile(
  devices: BlockDevices,
  lookups: FileLookups,
  file: MountedFile,
  depth = 0,
): Promise<Carriers> {
  const { mount } = file;
  if (mount.type !== 'overlay') return lookups.carriersOf(devices, mount);
  const { upper, lower, areFilesWhole } = parseOverlayOptions(mount.options);
  const path = pathInside(file);
  // A file that was opened for writing is in the upper layer.
  const layers = upper === undefined ? lower : file.readOnly ? [upper, ...lower] : [upper];
  const carriers: Carriers[] = [];
  for (const layer of layers) {
    const below = lookups.mountOf(devices.hostMounts, layer);
    if (below === undefined || depth >= MAX_DEPTH) {
      carriers.push(unknown(`${mount.mountPoint} is an overlay whose layers are on no known mount`));
      continue;
    }
    const inLayer = { mount: below, path: posix.join(layer, path ?? ''), readOnly: file.readOnly };
    carriers.push(await carriersOfFile(devices, lookups, inLayer, depth + 1));
  }
  const all = together(carriers);
  if (carriers.every((each) => isSame(each, all))) return all;
  const holder = path === undefined || !areFilesWhole ? undefined : await lookups.holderOf(layers, path);
  const found = holder === undefined ? undefined : carriers[holder];
  return found ?? together([all, unknown(whichLayer(file))]);
}

function whichLayer({ mount, path }: MountedFile): string {
  return `${mount.mountPoint} is an overlay with layers on several disks, and the layer of ${utf8(path)} is unknown`;
}

/** The file's path from the root of the overlay; undefined if the file is no longer reachable. */
function pathInside({ mount, path }: MountedFile): string | undefined {
  const point = mount.mountPoint === '/' ? '' : mount.mountPoint;
  if (!path.startsWith(`${point}/`) || path.endsWith(' (deleted)')) return undefined;
  return posix.join(mount.root, path.slice(point.length));
}

function isSame(a: Carriers, b: Carriers): boolean {
  return a.disks.length === b.disks.length && a.unknown.length === b.unknown.length;
}
