import { type Options, PLAIN, type QemuOption } from './qemu-options.ts';

/** Files of a VM by their use, as libvirt or QEMU's monitor lists them. */
export interface FilesByUse {
  readonly disks: readonly string[];
  /** Firmware and its variables, CD-ROMs, floppies. */
  readonly others: readonly string[];
}

/** Files that QEMU has open and that are not disks of the VM. */
export interface OtherFiles {
  readonly files: ReadonlySet<string>;
  /** Files of disks, which have precedence. */
  readonly disks: ReadonlySet<string>;
  /** No file in these folders is a disk: shared folders, memory. */
  readonly folders: readonly string[];
}

const MAX_LAYERS = 16;
/** QEMU keeps its pid file open and locked. */
const NOT_A_DISK = new Set(['bios', 'kernel', 'initrd', 'dtb', 'pidfile']);
/** Drivers whose medium is not a disk of the VM: CD-ROMs, floppies, firmware. */
const NO_DISK = /^(?:(?:ide|scsi)-cd|floppy|cfi\.pflash01)$/;
const NO_DISK_INTERFACES = new Set(['pflash', 'floppy', 'mtd', 'sd-firmware']);

/**
 * Finds firmware and its variables, kernels, CD-ROMs, floppies, logs, shared folders and file-backed memory.
 * A file that a disk also uses is a disk.
 */
export function otherFilesOf(all: readonly QemuOption[]): OtherFiles {
  const nodes = new Map<string, Options>();
  const of = (name: string): Options[] =>
    all.filter((each) => each.name === name).map(({ options }) => options);
  for (const node of [...of('blockdev'), ...of('drive')]) {
    for (const key of ['id', 'node-name']) {
      const name = node.get(key);
      if (name !== undefined) nodes.set(name, node);
    }
  }
  const others: string[] = [];
  const disks: string[] = [];
  const folders: string[] = [];
  for (const { name, options } of all) {
    if (NOT_A_DISK.has(name)) others.push(options.get(PLAIN) ?? '');
    else if (name === 'drive') {
      const isOther = options.get('media') === 'cdrom' || NO_DISK_INTERFACES.has(options.get('if') ?? '');
      if (isOther) others.push(...filesOf(options, nodes));
      else if (options.get('if') !== 'none') disks.push(...filesOf(options, nodes));
    } else if (name === 'machine') {
      for (const key of ['pflash0', 'pflash1'])
        others.push(...filesOf(nodes.get(options.get(key) ?? ''), nodes));
    } else if (name === 'device') {
      const node = nodes.get(options.get('drive') ?? '');
      // -drive media=cdrom marks a drive as CD-ROM whatever device uses it.
      const isOther = NO_DISK.test(options.get('driver') ?? '') || node?.get('media') === 'cdrom';
      (isOther ? others : disks).push(...filesOf(node, nodes));
    } else if (name === 'chardev') others.push(options.get('path') ?? '');
    else if (name === 'mem-path') folders.push(options.get(PLAIN) ?? '');
    else if (name === 'fsdev' || name === 'virtfs') folders.push(options.get('path') ?? '');
    else if (name === 'object' && options.has('mem-path')) {
      // If a device uses the memory backend, it is persistent memory; otherwise it is the VM's RAM.
      const isDisk = of('device').some((device) => device.get('memdev') === options.get('id'));
      if (!isDisk) folders.push(options.get('mem-path') ?? '');
    }
  }
  const files = new Set(others.filter((file) => file !== '' && !disks.includes(file)));
  return { files, disks: new Set(disks), folders: folders.filter((folder) => folder.length > 1) };
}

/** The files that a node opens, through all its layers, both inline and referenced by name. */
function filesOf(node: Options | undefined, nodes: ReadonlyMap<string, Options>, layer = 0): string[] {
  if (node === undefined || layer > MAX_LAYERS) return [];
  return [...node].flatMap(([key, value]) => {
    if (/(?:^|\.)filename$/.test(key)) return [value];
    if (!/(?:^|\.)(?:file|backing|data-file)$/.test(key)) return [];
    const below = nodes.get(value);
    return below === undefined || below === node
      ? [value.replace(/^file:/, '')]
      : filesOf(below, nodes, layer + 1);
  });
}
