import { basename, dirname, join } from 'node:path';
import { append } from '../../../kernel/maps.ts';
import { isGone, SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { readListeningSockets } from '../../../probes/proc-net-unix.ts';
import { readDescriptors } from '../../../probes/proc-pid-fd.ts';
import type { Vm } from '../../model/vm.ts';

export interface SocketRules {
  /** `/run/kvm-telemetry/qmp/*.sock`: a directory and a file name with `*`. */
  readonly pattern: string;
  /** Allowed directories for a socket named on a VM's command line. */
  readonly directories: readonly string[];
  /** Prefix of the paths to connect to. */
  readonly rootfs: string;
}

/** Process 1: its namespaces are the host's. */
const UNSAFE =
  'not used for QMP: it must be a directory (not a symbolic link) that root owns and only root can write to';
const INIT = 1;
const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Finds the QMP socket of each VM that has one in an allowed place. A tenant controls the command line and,
 * in a mount namespace of its own, any path. Therefore only root may be able to write to the directory, and
 * the VM's own process must hold the socket that listens there.
 *
 * @returns the path to connect to, by VM key
 */
export function locateSockets(
  host: Host,
  vms: readonly Vm[],
  rules: SocketRules,
  report: (problem: SourceError) => void,
): Map<string, string> {
  const found = new Map<string, string>();
  const candidates = candidatePaths(host, vms, rules, report);
  if (candidates.size === 0) return found;
  const listening = attempt(report, () => readListeningSockets(host, INIT), new Map<string, number[]>());
  const holders = holdersOf(
    host,
    vms,
    new Set([...candidates].flatMap((path) => listening.get(path) ?? [])),
    report,
  );
  for (const path of candidates) {
    const inodes = listening.get(path) ?? [];
    const owners = inodes.flatMap((inode) => holders.get(inode) ?? []);
    const owner = soleOwner(host, owners, inodes.length);
    if (owner !== undefined && !found.has(owner.key)) found.set(owner.key, join(rules.rootfs, path));
    if (owner === undefined && owners.length > 1) {
      report(
        new SourceError(
          'denied',
          path,
          `${owners.length} VMs claim this socket: ${owners.map(({ label }) => label).join(', ')}`,
        ),
      );
    }
  }
  return found;
}

/**
 * If several sockets have the same path, or several VMs hold one, picks the VM in the host's mount namespace:
 * the others bound that path in another namespace. Sockets that no VM holds count too, because the file at
 * that path may be one of them.
 */
function soleOwner(host: Host, owners: readonly Vm[], sockets: number): Vm | undefined {
  if (owners.length <= 1 && sockets <= 1) return owners[0];
  const hostFiles = mountNamespace(host, INIT);
  const native = owners.filter(
    ({ pid }) => hostFiles !== undefined && mountNamespace(host, pid) === hostFiles,
  );
  return native.length === 1 ? native[0] : undefined;
}

function mountNamespace(host: Host, pid: number): string | undefined {
  try {
    return host.link(`${host.roots.procfs}/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

function candidatePaths(
  host: Host,
  vms: readonly Vm[],
  { pattern, directories, rootfs }: SocketRules,
  report: (problem: SourceError) => void,
): Set<string> {
  const paths = new Set<string>();
  const folder = dirname(pattern);
  const name = new RegExp(`^${basename(pattern).split('*').map(escapeRegExp).join('.*')}$`, 's');
  if (isTrusted(host, rootfs, folder, report)) {
    for (const entry of attempt(report, () => host.entries(join(rootfs, folder)), []))
      if (name.test(entry)) paths.add(join(folder, entry));
  }
  const trusted = new Map<string, boolean>();
  for (const path of vms.flatMap(({ monitors }) => monitors)) {
    const parent = dirname(path);
    if (!directories.includes(parent) || /^\.{0,2}$/.test(basename(path))) continue;
    if (!trusted.has(parent)) trusted.set(parent, isTrusted(host, rootfs, parent, report));
    if (trusted.get(parent) === true) paths.add(path);
  }
  return paths;
}

/**
 * Whether only root can create files there. Root must own the directory and all its parents, and no other
 * user may write to them, except to a parent with the sticky bit.
 */
function isTrusted(
  host: Host,
  rootfs: string,
  folder: string,
  report: (problem: SourceError) => void,
): boolean {
  for (let path = folder; ; path = dirname(path)) {
    try {
      const { uid, mode } = host.stat(join(rootfs, path));
      const shared = (mode & WRITABLE_BY_OTHERS) !== 0 && (path === folder || (mode & STICKY) === 0);
      if (uid !== 0 || shared) {
        report(new SourceError('denied', path, UNSAFE, 'unsafe_directory'));
        return false;
      }
    } catch (error) {
      if (!isGone(error)) report(sourceError(error, path));
      return false;
    }
    if (path === '/' || path === '.') return true;
  }
}

/** VMs by the inodes of the requested sockets that their processes hold. */
function holdersOf(
  host: Host,
  vms: readonly Vm[],
  wanted: ReadonlySet<number>,
  report: (problem: SourceError) => void,
): Map<number, Vm[]> {
  const holders = new Map<number, Vm[]>();
  if (wanted.size === 0) return holders;
  for (const vm of vms) {
    for (const { target } of attempt(report, () => readDescriptors(host, vm.pid), [])) {
      const inode = Number(/^socket:\[(\d{1,20})\]$/.exec(target)?.[1]);
      if (wanted.has(inode)) append(holders, inode, vm);
    }
  }
  return holders;
}

function attempt<T>(report: (problem: SourceError) => void, read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (!isGone(error)) report(sourceError(error, 'QMP sockets'));
    return otherwise;
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}
