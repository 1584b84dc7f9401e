import { basename, dirname } from 'node:path';
import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { LibvirtDomain } from '../../probes/libvirt-domstatus.ts';
import { type CommandLine, readCmdline } from '../../probes/proc-pid-cmdline.ts';
import { absolutePath } from '../../probes/proc-pid-cwd.ts';
import { isExecutableOfRoot, readExecutable } from '../../probes/proc-pid-exe.ts';
import { parseQemuCommandLine, type QemuIdentity } from '../../probes/qemu-command-line.ts';
import { type ConfidentialType, confidentialType } from '../../probes/qemu-confidential.ts';
import { parseQemuDevices, type QemuDevices } from '../../probes/qemu-devices.ts';
import { type OtherFiles, otherFilesOf } from '../../probes/qemu-files.ts';
import { parseQemuIoPath, type QemuIoPath } from '../../probes/qemu-io-path.ts';
import { truncateName } from '../model/vm-names.ts';
import type { Vmm } from '../model/vmm.ts';
import type { Candidate } from './processes.ts';
import { type QemuConfiguration, readQemuConfiguration } from './qemu-configuration.ts';
import { runsTcg } from './tcg.ts';
import { vmmOf, vmmOfProgram } from './vmm.ts';
import { claimsOf } from './vmm-options.ts';

/** The identity that a VM process claims. */
export interface Identity {
  readonly vmm: Vmm;
  readonly accel: 'kvm' | 'tcg';
  readonly name: string;
  readonly uuid: string;
  readonly machine: string;
  readonly vmid: number | undefined;
  readonly iothreadIds: readonly string[];
  readonly diskIds: readonly string[];
  readonly monitors: readonly string[];
  readonly confidential: ConfidentialType | undefined;
  readonly ioPath: QemuIoPath | undefined;
  readonly devices: QemuDevices | undefined;
  readonly otherFiles: OtherFiles;
  /** Which parts of the configuration are unknown, as messages. */
  readonly missing: readonly string[];
}

const TIMEOUT_MS = 500;
/** libvirt starts QEMU with `none` to query its capabilities; `x-remote` serves devices to another VM. */
const MACHINES_WITHOUT_VCPUS = new Set(['none', 'x-remote']);
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/**
 * Identifies a candidate. Returns undefined if it is not a VM: QEMU that only prints information, QEMU that
 * has not opened /dev/kvm yet, or a user's program that only has QEMU's name.
 *
 * @throws SourceError
 */
export async function identify(host: Host, candidate: Candidate): Promise<Identity | undefined> {
  const { pid, stat, kvmFd } = candidate;
  const executable = readExecutable(host, pid);
  // Without a kvm-vm descriptor, trust only the executable: a process chooses its arguments and thread names.
  if (kvmFd === undefined && vmmOfProgram(executable ?? '') !== 'qemu') return undefined;
  const commandLine = await readCmdline(host, pid, TIMEOUT_MS);
  const { argv } = commandLine;
  const vmm = vmmOf(executable, argv, stat.comm);
  if (vmm === 'qemu') return identifyQemu(host, candidate, commandLine, executable);
  const { name, path, uuid, diskIds, confidential, ioPath } = claimsOf(vmm, argv);
  return {
    vmm,
    accel: 'kvm',
    name: firstName(
      name,
      path && absolutePath(host, pid, path),
      uuid,
      muvmName(host, pid, executable),
      String(pid),
    ),
    uuid: truncateUuid(uuid),
    machine: '',
    vmid: undefined,
    iothreadIds: [],
    diskIds,
    monitors: [],
    confidential,
    ioPath,
    devices: undefined,
    otherFiles: { files: new Set(), disks: new Set(), folders: [] },
    missing: [],
  };
}

/**
 * muvm has no name for its VM, and its arguments are only the guest's first program. A lock in XDG_RUNTIME_DIR allows one
 * VM for each user (crates/muvm/src/launch.rs), so the user's id is stable and unique.
 */
function muvmName(host: Host, pid: number, executable: string | undefined): string | undefined {
  if (basename(executable ?? '') !== 'muvm') return undefined;
  const owner = ifThere(() => host.stat(`${host.roots.procfs}/${pid}`))?.uid;
  return owner === undefined ? undefined : `muvm-${owner}`;
}

async function identifyQemu(
  host: Host,
  { pid, stat, kvmFd }: Candidate,
  commandLine: CommandLine,
  executable: string | undefined,
): Promise<Identity | undefined> {
  const configuration = await readQemuConfiguration(host, pid, commandLine, TIMEOUT_MS);
  const qemu = parseQemuCommandLine(configuration.options);
  if (qemu.onlyAnswers || MACHINES_WITHOUT_VCPUS.has(qemu.machine ?? '')) return undefined;
  if (kvmFd === undefined) {
    const [program = '', ...options] = commandLine.argv;
    if (options.length === 0 || !runsTcg(host, { pid, stat }, qemu.accels, program)) return undefined;
    if (!(await isExecutableOfRoot(host, pid, TIMEOUT_MS))) return undefined;
  }
  const devices = parseQemuDevices(configuration.options);
  const isKnown = configuration.missing.length === 0;
  const program = kvmFd === undefined ? undefined : basename(executable ?? '');
  return {
    vmm: 'qemu',
    accel: kvmFd === undefined ? 'tcg' : 'kvm',
    name: nameOf(host, pid, qemu, configuration),
    uuid: truncateUuid(qemu.uuid),
    machine: truncateName(qemu.machine ?? ''),
    vmid: qemu.vmid,
    iothreadIds: qemu.iothreads,
    diskIds: [],
    monitors: qemu.monitors,
    otherFiles: otherFilesOf(configuration.options),
    confidential: confidentialType(configuration.options),
    ioPath: isKnown ? parseQemuIoPath(configuration.options, program) : undefined,
    // If the configuration is incomplete, a device that was not found may still exist.
    devices: isKnown ? devices : undefined,
    missing:
      isKnown && devices === undefined
        ? ['a SCSI disk without bus= may be on one of several controllers']
        : configuration.missing,
  };
}

/** The VM's name; without a name, something that stays the same after a restart, if there is any. */
function nameOf(
  host: Host,
  pid: number,
  { name, uuid, monitors, ownPath }: QemuIdentity,
  { files, isDaemon }: QemuConfiguration,
): string {
  const [file] = files;
  // LXD and Incus keep the configuration of instance v1 of project blue in a directory blue_v1. Instance
  // names are unique only within a project.
  const folder = name === undefined || file === undefined ? '' : basename(dirname(file));
  const unique = folder.endsWith(`_${name}`) ? folder : name;
  const own = monitors[0] ?? ownPath;
  const path = own === undefined || isDaemon ? own : absolutePath(host, pid, own);
  return firstName(unique, truncateUuid(uuid), file, path, String(pid));
}

function firstName(...names: readonly (string | undefined)[]): string {
  for (const name of names) {
    const fit = truncateName(name ?? '');
    if (fit !== '') return fit;
  }
  return '';
}

function truncateUuid(uuid: string | undefined): string {
  const lower = (uuid ?? '').toLowerCase();
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(lower) && lower !== NIL_UUID ? lower : '';
}

/** Whether libvirt's state describes this process: a state file may outlive its VM, and pids are reused. */
export function isManagedBy(domain: LibvirtDomain, pid: number, identity: Identity): boolean {
  return domain.pid === pid && domain.uuid === identity.uuid;
}
