import type { Host } from '../../probes/host.ts';
import type { LibvirtDomain } from '../../probes/libvirt-domstatus.ts';
import { type NameClaim, TRUST, truncateName } from '../model/vm-names.ts';
import { type Entry, isAlive } from './entry.ts';
import { isManagedBy } from './identity.ts';
import { readDirectory, vcpuThreadsOf } from './kvm-directories.ts';
import type { Problems } from './problems.ts';

/**
 * Adds the data of KVM's debugfs and of libvirt to a VM.
 *
 * @param names of the VM's directories in debugfs
 * @returns the name that the VM claims as its label
 */
export function enrich(
  host: Host,
  problems: Problems,
  entry: Entry,
  names: readonly string[],
  domain: LibvirtDomain | undefined,
): NameClaim {
  const { vm, identity } = entry;
  const managed = domain !== undefined && isManagedBy(domain, vm.pid, identity);
  const directories = problems.attempt(
    'kvm_debugfs',
    () => names.map((name) => readDirectory(host, name, vm.directories)),
    vm.directories,
    () => isAlive(host, entry),
  );
  const vcpus = directories.reduce((sum, { content }) => sum + content.vcpus.length, 0);
  const isKnown = vm.vcpuThreads.size >= vcpus && directories.every((each, i) => each === vm.directories[i]);
  // A vCPU keeps its thread, so once all are known they are not read again.
  const vcpuThreads = isKnown ? new Map(vm.vcpuThreads) : vcpuThreadsOf(host, directories, problems);
  if (managed) for (const { id, tid } of domain.vcpus) vcpuThreads.set(tid, id);
  for (const [tid, index] of entry.hints?.vcpus ?? []) vcpuThreads.set(tid, index);
  entry.files = managed ? domain.files : undefined;
  entry.vm = {
    ...vm,
    name: managed ? truncateName(domain.name) : identity.name,
    domain: managed ? domain.name : '',
    pins: managed ? domain.pins : undefined,
    job: managed ? domain.job : '',
    libvirtDisks: managed ? domain.disks : undefined,
    metadata: managed ? domain.metadata : undefined,
    manager: managed ? 'libvirt' : '',
    directories,
    vcpuThreads,
  };
  const { key, name, uuid, pid, startTime } = entry.vm;
  return { key, name, uuid, pid, startTime, trust: TRUST[managed ? 'libvirt' : vm.accel] };
}
