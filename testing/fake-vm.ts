import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Vm } from '../exporter/model/vm.ts';
import type { SocketRules } from '../exporter/sources/qmp/sockets.ts';
import { type HostTree, hostTree } from './host-tree.ts';

export const SOCKETS = '/run/kvm-telemetry/qmp';

/** A VM as the inventory would show it; `pid` distinguishes it. */
export function fakeVm(pid: number, more: Partial<Vm> = {}): Vm {
  return {
    key: `${pid}:1000`,
    label: `vm${pid}`,
    name: `vm${pid}`,
    uuid: '',
    vmm: 'qemu',
    manager: '',
    accel: 'kvm',
    machine: 'q35',
    pid,
    startTime: 1000,
    directories: [],
    blockDevices: [],
    unknownDevices: [],
    vcpuThreads: new Map(),
    iothreadIds: [],
    diskIds: [],
    iothreadThreads: new Map(),
    monitors: [],
    domain: '',
    pins: undefined,
    libvirtDisks: undefined,
    devices: undefined,
    ...more,
  };
}

export interface SocketHost extends HostTree {
  readonly rules: SocketRules;
  /** A path as the daemon sees it. */
  real(path: string): string;
  /** Says that these sockets listen: path and inode. */
  listening(...sockets: (readonly [path: string, inode: number])[]): void;
  /** Says which process holds which sockets, in the host's mount namespace unless another is named. */
  holds(pid: number, inodes: readonly number[], mountNamespace?: string): void;
}

/** A host with the directory for sockets as it is documented. */
export function socketHost(context: Pick<TestContext, 'after'>): SocketHost {
  const tree = hostTree(context);
  mkdirSync(join(tree.folder, SOCKETS), { recursive: true });
  for (const path of ['', '/run', '/run/kvm-telemetry', SOCKETS]) chmodSync(join(tree.folder, path), 0o755);
  tree.link('proc/1/ns/mnt', 'mnt:[1]');
  return {
    ...tree,
    rules: { pattern: `${SOCKETS}/*.sock`, directories: [SOCKETS, '/srv/qmp'], rootfs: tree.folder },
    real: (path) => join(tree.folder, path),
    listening(...sockets) {
      const lines = sockets.map(
        ([path, inode]) => `0000000000000000: 00000002 00000000 00010000 0001 01 ${inode} ${path}\n`,
      );
      tree.write('proc/1/net/unix', Buffer.from(`Num\n${lines.join('')}`));
    },
    holds(pid, inodes, mountNamespace = 'mnt:[1]') {
      tree.process({ pid, comm: 'qemu-system-x86' });
      inodes.forEach((inode, fd) => {
        tree.link(`proc/${pid}/fd/${fd + 3}`, `socket:[${inode}]`);
      });
      tree.link(`proc/${pid}/ns/mnt`, mountNamespace);
    },
  };
}
