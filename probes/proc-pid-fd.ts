import { wholeDecimal } from '../kernel/decimal.ts';
import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

export interface Descriptor {
  readonly fd: number;
  /** Target of the link: an absolute path, `anon_inode:kvm-vm`, `socket:[11003]`, ... latin1. */
  readonly target: string;
}

/** A process may have a million descriptors. Those that matter for a VM are among the first. */
const MAX_DESCRIPTORS = 16_384;

/**
 * Lists `/proc/<pid>/fd`. Descriptors that are closed during the scan are left out. A user cannot forge a
 * target that begins with `anon_inode:`, because targets of files begin with a slash.
 *
 * @throws SourceError vanished or absent if the process has exited, denied without CAP_SYS_PTRACE
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

/** Target of one descriptor; undefined if it is closed or the process has exited. */
export function readDescriptor(host: Host, pid: number, fd: number): string | undefined {
  return ifThere(() => host.link(`${host.roots.procfs}/${pid}/fd/${fd}`));
}

/** The same on all architectures that KVM runs on. */
const O_PATH = 0o10000000;

export interface DescriptorInfo {
  /** Mount that contains the file, as in mountinfo; undefined if the kernel does not report it. */
  readonly mountId: number | undefined;
  /** Opened O_WRONLY: a log, not a disk. */
  readonly writeOnly: boolean;
  readonly readOnly: boolean;
  /** Opened O_PATH: a reference that cannot be read, as for a shared folder. */
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
  // Without flags assume O_RDWR, since the file may be a disk.
  const flags = Number.parseInt(octal?.slice(-9) ?? '2', 8);
  return {
    mountId: mountId === undefined ? undefined : Number(mountId),
    writeOnly: (flags & 3) === 1,
    readOnly: (flags & 3) === 0,
    pathOnly: (flags & O_PATH) !== 0,
  };
}

/** dev.c IFNAMSIZ, and what dev_valid_name() allows. */
const INTERFACE = /^iff:\t([^\s/:]{1,15})\n/m;

/**
 * The interface of a descriptor of `/dev/net/tun`, drivers/net/tun.c tun_chr_show_fdinfo().
 *
 * @returns undefined if it has none, if the descriptor is closed, or if the process has exited
 */
export function readTunInterface(host: Host, pid: number, fd: number): string | undefined {
  const text = ifThere(() => host.attribute(`${host.roots.procfs}/${pid}/fdinfo/${fd}`));
  const name = INTERFACE.exec(text ?? '')?.[1];
  return name === '.' || name === '..' ? undefined : name;
}

/** undefined if the descriptor is closed or the process has exited. */
export function readDescriptorInfo(host: Host, pid: number, fd: number): DescriptorInfo | undefined {
  return ifThere(() => parseDescriptorInfo(host.attribute(`${host.roots.procfs}/${pid}/fdinfo/${fd}`)));
}
