import { resolveDevLink } from '../../probes/dev-links.ts';
import type { Host } from '../../probes/host.ts';
import type { FilesByUse, OtherFiles } from '../../probes/qemu-files.ts';

/**
 * The files that are not disks of the VM. QEMU's options describe its start; libvirt and the monitor also know
 * media that were changed since. A file that a disk also uses is a disk.
 */
export function otherFilesNow(
  host: Host,
  atStart: OtherFiles,
  now: readonly (FilesByUse | undefined)[],
): OtherFiles {
  const known = now.filter((each) => each !== undefined);
  const disks = new Set(known.flatMap((files) => files.disks));
  const others = [...atStart.files, ...known.flatMap((files) => files.others)];
  const files = others.filter((file) => !disks.has(file)).flatMap((file) => [file, ...nodeOf(host, file)]);
  return { files: new Set(files), disks: new Set([...atStart.disks, ...disks]), folders: atStart.folders };
}

/** A descriptor shows the device node, an option the link to it: `/dev/vg/lv`. */
function nodeOf(host: Host, file: string): string[] {
  const node = file.startsWith('/dev/') ? resolveDevLink(host, file) : undefined;
  return node === undefined ? [] : [node];
}

export function areSame(a: OtherFiles, b: OtherFiles): boolean {
  return a.files.size === b.files.size && [...a.files].every((file) => b.files.has(file));
}
