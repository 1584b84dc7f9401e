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

/** QEMU keeps its pid file open and locked. */
const NOT_A_DISK = new Set(['bios', 'kernel', 'initrd', 'dtb', 'pidfile']);
/** Drivers whose medium is not a disk of the VM: CD-ROMs, floppies, firmware. */
const NO_DISK = /^(?:(?:ide|scsi)-cd|floppy|cfi\.pflash01)$/;
const NO_DISK_INTERFACES = new Set(['pflash', 'floppy', 'mtd', 'sd-firmware']);
/** Devices whose memory backend is a disk. For all others it is RAM: pc-dimm, virtio-mem, ivshmem. */
const MEMORY_DISK = /^(?:nvdimm|virtio-pmem(?:-pci)?)$/;
/** Keys of a node whose value is a file, or the name of a node below it. */
const FILE = /(?:^|\.)(?:file|backing|data-file)$/;
const FILENAME = /(?:^|\.)filename$/;
/** Keys of a node whose value is the name of a node below it: quorum. */
const CHILD = /(?:^|\.)children\.\d{1,5}$/;

/** Block nodes of `-blockdev` and `-drive`, with all nodes below, by their use. A node may be in both sets, or in none. */
export interface NodesByUse {
  readonly disks: ReadonlySet<Options>;
  /** Of CD-ROMs, floppies and firmware. */
  readonly others: ReadonlySet<Options>;
}

/** Finds firmware, CD-ROMs and floppies in each spelling. */
export function nodesByUse(all: readonly QemuOption[]): NodesByUse {
  return usesOf(all, nodesByName(all));
}

function usesOf(all: readonly QemuOption[], nodes: ReadonlyMap<string, Options>): NodesByUse {
  const found = { disks: new Set<Options>(), others: new Set<Options>() };
  const take = (isOther: boolean, node: Options | undefined): void =>
    addWithBelow(isOther ? found.others : found.disks, node, nodes);
  for (const { name, options } of all) {
    if (name === 'drive') {
      const isOther = options.get('media') === 'cdrom' || NO_DISK_INTERFACES.has(options.get('if') ?? '');
      if (isOther || options.get('if') !== 'none') take(isOther, options);
    } else if (name === 'machine') {
      for (const key of ['pflash0', 'pflash1']) take(true, nodes.get(options.get(key) ?? ''));
    } else if (name === 'device') {
      const node = nodes.get(options.get('drive') ?? '');
      // -drive media=cdrom marks a drive as CD-ROM whatever device uses it.
      take(NO_DISK.test(options.get('driver') ?? '') || node?.get('media') === 'cdrom', node);
    }
  }
  return found;
}

function nodesByName(all: readonly QemuOption[]): Map<string, Options> {
  const nodes = new Map<string, Options>();
  for (const kind of ['blockdev', 'drive']) {
    for (const { name, options } of all) {
      if (name !== kind) continue;
      for (const key of ['id', 'node-name']) {
        const node = options.get(key);
        if (node !== undefined) nodes.set(node, options);
      }
    }
  }
  return nodes;
}

/** Visits each node once: a hostile command line may refer to a node in thousands of ways. */
function addWithBelow(
  found: Set<Options>,
  start: Options | undefined,
  nodes: ReadonlyMap<string, Options>,
): void {
  const waiting = start === undefined ? [] : [start];
  for (const node of waiting) {
    if (found.has(node)) continue;
    found.add(node);
    for (const [key, value] of node) {
      const below = FILE.test(key) || CHILD.test(key) ? nodes.get(value) : undefined;
      if (below !== undefined) waiting.push(below);
    }
  }
}

/**
 * Finds firmware and its variables, kernels, CD-ROMs, floppies, logs, shared folders and file-backed memory.
 * A file that a disk also uses is a disk.
 */
export function otherFilesOf(all: readonly QemuOption[]): OtherFiles {
  const nodes = nodesByName(all);
  const uses = usesOf(all, nodes);
  const filesOf = (some: ReadonlySet<Options>): string[] =>
    [...some].flatMap((node) => filesOfNode(node, nodes));
  const disks = new Set(filesOf(uses.disks));
  const others = filesOf(uses.others);
  const folders: string[] = [];
  const persistent = new Set(
    all.flatMap(({ name, options }) =>
      name === 'device' && MEMORY_DISK.test(options.get('driver') ?? '') ? [options.get('memdev')] : [],
    ),
  );
  for (const { name, options } of all) {
    if (NOT_A_DISK.has(name)) others.push(options.get(PLAIN) ?? '');
    else if (name === 'chardev') others.push(options.get('path') ?? '');
    else if (name === 'mem-path') folders.push(options.get(PLAIN) ?? '');
    else if (name === 'fsdev' || name === 'virtfs') folders.push(options.get('path') ?? '');
    else if (name === 'object' && !persistent.has(options.get('id')))
      folders.push(options.get('mem-path') ?? '');
  }
  const files = new Set(others.filter((file) => file !== '' && !disks.has(file)));
  return { files, disks, folders: folders.filter((folder) => folder.length > 1) };
}

/** The files that a node opens, also those of nodes inside it. */
function filesOfNode(node: Options, nodes: ReadonlyMap<string, Options>): string[] {
  return [...node].flatMap(([key, value]) => {
    if (FILENAME.test(key)) return [value];
    if (!FILE.test(key)) return [];
    const below = nodes.get(value);
    return below === undefined || below === node ? [value.replace(/^file:/, '')] : [];
  });
}
