import type { SimDisk } from '../disk.ts';

/** Mount ids of the file descriptors. */
export const MOUNT = { sockets: 8, anonymous: 15, dev: 23, root: 27, run: 33, firstDisk: 100 } as const;

/** The mount namespace of all processes. */
export const MOUNT_NAMESPACE = 'mnt:[4026531841]';

/** The mount point of a disk's file system. */
export function mountPoint(disk: SimDisk): string {
  return `/srv/${disk.spec.name}`;
}

/**
 * `/proc/<pid>/mountinfo`: a small Debian host with ext4 on each disk. The paper's images are in ext4 too
 * (6).
 */
export function mountinfoText(disks: readonly SimDisk[]): string {
  const ofDisks = disks.map((disk) => {
    const { major, minor } = disk.device;
    return `${MOUNT.firstDisk + disk.index} 27 ${major}:${minor} / ${mountPoint(disk)} rw,noatime shared:${60 + disk.index} - ext4 /dev/${disk.spec.name} rw\n`;
  });
  return `\
22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
23 27 0:5 / /dev rw,nosuid,relatime shared:2 - devtmpfs udev rw,size=8122380k,nr_inodes=2030595,mode=755
25 27 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
27 1 0:19 / / rw,relatime shared:1 - tmpfs tmpfs rw
31 25 0:8 / /sys/kernel/debug rw,nosuid,nodev,noexec,relatime shared:14 - debugfs debugfs rw
32 25 0:12 / /sys/kernel/tracing rw,nosuid,nodev,noexec,relatime shared:15 - tracefs tracefs rw
33 27 0:31 / /run rw,nosuid,nodev,noexec,relatime shared:5 - tmpfs tmpfs rw,size=1628132k,mode=755
${ofDisks.join('')}`;
}
