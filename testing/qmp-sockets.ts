import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { SocketRules } from '../exporter/sources/qmp/sockets.ts';
import { netUnixText } from '../lab/simhost/files/process.ts';
import { type HostTree, hostTree } from './host-tree.ts';

/** The default folder of QMP sockets. */
export const SOCKETS = '/run/kvm-telemetry/qmp';
const HOST_NAMESPACE = 'mnt:[1]';

export interface SocketHost extends HostTree {
  readonly rules: SocketRules;
  /** A path as the daemon sees it. */
  real(path: string): string;
  /** Sets the sockets that listen, each with its inode. */
  listening(...sockets: (readonly [path: string, inode: number])[]): void;
  /** A process that holds these sockets, in the host's mount namespace by default. */
  holds(pid: number, inodes: readonly number[], mountNamespace?: string): void;
}

/** A host with the folder of QMP sockets, as docs/configuration.md describes it. */
export function socketHost(context: Pick<TestContext, 'after'>): SocketHost {
  const tree = hostTree(context);
  mkdirSync(join(tree.folder, SOCKETS), { recursive: true });
  for (const path of ['', '/run', '/run/kvm-telemetry', SOCKETS]) chmodSync(join(tree.folder, path), 0o755);
  tree.link('proc/1/ns/mnt', HOST_NAMESPACE);
  return {
    ...tree,
    rules: { pattern: `${SOCKETS}/*.sock`, directories: [SOCKETS, '/srv/qmp'], rootfs: tree.folder },
    real: (path) => join(tree.folder, path),
    // Paths with characters outside ASCII are in UTF-8.
    listening: (...sockets) => tree.write('proc/1/net/unix', Buffer.from(netUnixText(sockets))),
    holds(pid, inodes, mountNamespace = HOST_NAMESPACE) {
      const fds = Object.fromEntries(inodes.map((inode, i) => [3 + i, `socket:[${inode}]`]));
      tree.process({ pid, comm: 'qemu-system-x86', fds });
      tree.link(`proc/${pid}/ns/mnt`, mountNamespace);
    },
  };
}
