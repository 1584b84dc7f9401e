import { wholeDecimal } from './decimal.ts';
import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

export interface Descriptor {
  readonly fd: number;
  /** The link's target: an absolute path, `anon_inode:kvm-vm`, `socket:[11003]`, ... latin1. */
  readonly target: string;
}

/** A process may hold a million descriptors; what a VM holds that matters is among the first. */
const MAX_DESCRIPTORS = 16_384;

/**
 * `/proc/<pid>/fd`. Descriptors that close during the scan are left out. No user can make a target that begins with
 * `anon_inode:`, as those of real files begin with a slash.
 *
 * @throws SourceError vanished or absent when the process is gone, denied without CAP_SYS_PTRACE
 */
export function readDescriptors(host: Host, pid: number): Descriptor[] {
  const directory = `${host.roots.procfs}/${pid}/fd`;
  const descriptors: Descriptor[] = [];
  for (const name of host.entries(directory).slice(0, MAX_DESCRIPTORS)) {
    const fd = wholeDecimal(name);
    const target = fd === undefined ? undefined : readDescriptor(host, pid, fd);
    if (fd !== undefined && target !== undefined) descriptors.push({ fd, target });
  }
  return descriptors.sort((a, b) => a.fd - b.fd);
}

/** One descriptor's target; undefined when it is closed or the process is gone. */
export function readDescriptor(host: Host, pid: number, fd: number): string | undefined {
  return ifThere(() => host.link(`${host.roots.procfs}/${pid}/fd/${fd}`));
}

/** The same on all architectures that KVM runs on. */
const O_PATH = 0o10000000;

export interface DescriptorInfo {
  /** The mount that the file is on, as in mountinfo; undefined where the kernel does not say. */
  readonly mountId: number | undefined;
  /** Opened O_WRONLY: a log, not a disk. */
  readonly writeOnly: boolean;
  readonly readOnly: boolean;
  /** Opened O_PATH: a name that nobody reads, as of a shared folder. */
  readonly pathOnly: boolean;
}

/**
 * `/proc/<pid>/fdinfo/<fd>`, fs/proc/fd.c.
 *
 * @see https://docs.kernel.org/filesystems/proc.html#proc-pid-fdinfo-fd-information-about-opened-file
 * @example parseDescriptorInfo('pos:\t0\nflags:\t0140002\nmnt_id:\t27\nino:\t42\n')
 */
export function parseDescriptorInfo(text: string): DescriptorInfo {
  const mountId = /^mnt_id:\t(\d{1,10})\n/m.exec(text)?.[1];
  const octal = /^flags:\t([0-7]{1,22})\n/m.exec(text)?.[1];
  // Without flags it may be a disk.
  const flags = Number.parseInt(octal?.slice(-9) ?? '2', 8);
  return {
    mountId: mountId === undefined ? undefined : Number(mountId),
    writeOnly: (flags & 3) === 1,
    readOnly: (flags & 3) === 0,
    pathOnly: (flags & O_PATH) !== 0,
  };
}

/** undefined when the descriptor is closed or the process is gone. */
export function readDescriptorInfo(host: Host, pid: number, fd: number): DescriptorInfo | undefined {
  return ifThere(() => parseDescriptorInfo(host.attribute(`${host.roots.procfs}/${pid}/fdinfo/${fd}`)));
}
