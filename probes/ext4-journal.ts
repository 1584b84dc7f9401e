import { wholeDecimal } from '../kernel/decimal.ts';
import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/** Before Linux 5.17 the name of a kernel thread is truncated to this length. */
const COMM = 15;

/** Kernel name of the journal's disk or partition. */
export type Journal = { readonly device: string } | 'unknown';

/**
 * The device of an ext4 file system's external journal, to which each write goes as well. No mount option
 * shows it. `/proc/fs/jbd2` has an entry `<device>-<inode>` for a journal inside the file system, and
 * `<device>` for an external one: fs/jbd2/journal.c. `/sys/fs/ext4/<device>/journal_task` is the pid of the
 * journal's thread, which is named after the entry.
 *
 * @param device kernel name of the disk or partition with the file system
 * @returns undefined without an external journal; `unknown` if its device cannot be found
 */
export function readExternalJournal(host: Host, device: string): Journal | undefined {
  const { procfs, sysfs } = host.roots;
  const task = wholeDecimal(ifThere(() => host.attribute(`${sysfs}/fs/ext4/${device}/journal_task`)) ?? '');
  // Without a journal the kernel prints `<none>`. Before Linux 4.17 there is no such file.
  if (task === undefined) return undefined;
  const journals = ifThere(() => host.entries(`${procfs}/fs/jbd2`)) ?? [];
  const isOwn = (name: string): boolean => name.replace(/-\d+$/, '') === device && name !== device;
  if (journals.some(isOwn)) return undefined;
  const comm = ifThere(() => host.attribute(`${procfs}/${task}/comm`))?.trim();
  const [found, ...others] = journals.filter((name) => comm === `jbd2/${name}` || isTruncated(comm, name));
  return found !== undefined && others.length === 0 ? { device: found } : 'unknown';
}

function isTruncated(comm: string | undefined, name: string): boolean {
  return comm?.length === COMM && `jbd2/${name}`.startsWith(comm);
}
