import type { Host } from '../../probes/host.ts';
import type { LibvirtDomain } from '../../probes/libvirt-domstatus.ts';
import { readCmdline } from '../../probes/proc-pid-cmdline.ts';
import { isExecutableOfRoot, readExecutable } from '../../probes/proc-pid-exe.ts';
import { parseQemuCommandLine, type QemuIdentity } from '../../probes/qemu-command-line.ts';
import { parseQemuDevices, type QemuDevices } from '../../probes/qemu-devices.ts';
import type { Vmm } from '../model/vm.ts';
import { fitName } from '../model/vm-names.ts';
import type { Candidate } from './processes.ts';
import { nameOption, vmmOf } from './vmm.ts';

/** Who a VM process says it is. */
export interface Identity {
  readonly vmm: Vmm;
  readonly accel: 'kvm' | 'tcg';
  readonly name: string;
  readonly uuid: string;
  readonly machine: string;
  readonly iothreadIds: readonly string[];
  readonly monitors: readonly string[];
  readonly devices: QemuDevices | undefined;
}

const TIMEOUT_MS = 500;
/** libvirt starts QEMU with this machine to ask what it can do. */
const PROBING_MACHINE = 'none';

/**
 * Identifies a candidate; undefined when it is no VM: QEMU that only answers questions, that has yet to open /dev/kvm,
 * or a program of a user's own making that merely bears QEMU's name.
 *
 * @throws SourceError
 */
export async function identify(host: Host, candidate: Candidate): Promise<Identity | undefined> {
  const { pid, stat, kvmFd } = candidate;
  const executable = readExecutable(host, pid);
  const argv = await readCmdline(host, pid, TIMEOUT_MS);
  const vmm = vmmOf(executable, argv[0], stat.comm);
  const qemu: QemuIdentity | undefined = vmm === 'qemu' ? parseQemuCommandLine(argv) : undefined;
  if (qemu?.machine === PROBING_MACHINE) return undefined;
  if (kvmFd === undefined) {
    const isTcg = qemu !== undefined && (qemu.accel ?? 'tcg') === 'tcg' && argv.length > 1;
    if (!isTcg || !(await isExecutableOfRoot(host, pid, TIMEOUT_MS))) return undefined;
  }
  const name = fitName((vmm === 'qemu' ? qemu?.name : nameOption(argv)) ?? '');
  return {
    vmm,
    accel: kvmFd === undefined ? 'tcg' : 'kvm',
    name: name === '' ? String(pid) : name,
    uuid: fitUuid(qemu?.uuid),
    machine: fitName(qemu?.machine ?? ''),
    iothreadIds: qemu?.iothreads ?? [],
    monitors: qemu?.monitors ?? [],
    devices: qemu === undefined ? undefined : parseQemuDevices(argv),
  };
}

function fitUuid(uuid: string | undefined): string {
  const lower = (uuid ?? '').toLowerCase();
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(lower) ? lower : '';
}

/** Whether libvirt's state is about this very process: a state file may outlive its VM and the pid be used again. */
export function isManagedBy(domain: LibvirtDomain, pid: number, identity: Identity): boolean {
  return domain.pid === pid && domain.uuid === identity.uuid;
}
