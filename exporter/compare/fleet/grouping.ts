import type { GaugeName } from '../../../promql/promql.ts';

/** The labels of a host in the store. */
export const HOST: readonly string[] = ['cluster', 'job', 'instance'];
export const VM: readonly string[] = [...HOST, 'vm'];

/** The series with the label that makes the groups. */
export interface Grouping {
  /** As in `--by label=NAME`. */
  readonly name: string;
  readonly metric: GaugeName | 'host:kvm_vms:count';
  readonly label: string;
  /** A host may have VMs of several groups at once. */
  readonly isOfVm: boolean;
}

/** Labels that no recorded series has: joined from the series that does. */
const JOINED: Readonly<Record<string, Omit<Grouping, 'name'>>> = {
  kernel: { metric: 'kvm_host_info', label: 'kernel', isOfVm: false },
  cpu: { metric: 'kvm_host_info', label: 'cpu_model', isOfVm: false },
  qemu_version: { metric: 'kvm_vm_qemu_version_info', label: 'version', isOfVm: true },
  exporter_version: { metric: 'kvm_telemetry_build_info', label: 'version', isOfVm: false },
};

export const JOINED_LABELS = Object.keys(JOINED);

/** Any other label is one of the recorded series themselves: `cluster`, `rack`, an external label. */
export function groupingOf(name: string): Grouping {
  const joined = Object.hasOwn(JOINED, name) ? JOINED[name] : undefined;
  return { name, ...(joined ?? { metric: 'host:kvm_vms:count', label: name, isOfVm: false }) };
}
