import { type StatisticKind, VCPU_STATISTICS, VM_STATISTICS } from '../statistics.ts';
import type { SimVm } from '../vm.ts';
import type { HostFacts } from './facts.ts';
import type { Tree } from './tree.ts';
import { KVM_FD } from './vm-static.ts';

const KVM = 'sys/kernel/debug/kvm';

export function debugfsFolder(vm: SimVm): string {
  return `${KVM}/${vm.pid}-${KVM_FD}`;
}

/** A statistic of the VM itself. A simulated guest hardly changes it. */
export function vmStatistic(vm: SimVm, name: string): number {
  if (name === 'pages_2m') return (vm.spec.memoryMiB ?? 4096) / 2;
  if (name === 'remote_tlb_flush_requests') return vm.vcpus.length * 24;
  return name === 'remote_tlb_flush' ? vm.vcpus.length * 4 : 0;
}

/** The VM's folder: sums over its vCPUs, virt/kvm/kvm_main.c kvm_create_vm_debugfs(). */
export function writeDebugfs(tree: Tree, vm: SimVm, facts: HostFacts): void {
  const folder = debugfsFolder(vm);
  const put = (name: string, kind: StatisticKind, value: number): void => {
    const isReadOnly = kind === 'instant' || kind === 'boolean';
    if (isReadOnly) tree.put(`${folder}/${name}`, `${value}\n`, 0o444);
    else if (facts.lockdown === 'none') tree.put(`${folder}/${name}`, `${value}\n`);
    else deny(tree, folder, name);
  };
  for (const [name, kind] of VCPU_STATISTICS)
    put(
      name,
      kind,
      vm.vcpus.reduce((sum, vcpu) => sum + vcpu.statistic(name), 0),
    );
  for (const [name, kind] of VM_STATISTICS) put(name, kind, vmStatistic(vm, name));
  for (const { index, thread } of vm.vcpus) {
    tree.put(`${folder}/vcpu${index}/pid`, `${thread.tid}\n`, 0o444);
    tree.put(`${folder}/vcpu${index}/guest_mode`, '0\n', 0o444);
    tree.put(`${folder}/vcpu${index}/lapic_timer_advance_ns`, '1000\n', 0o444);
    tree.put(`${folder}/vcpu${index}/tsc-offset`, '-120020914295\n', 0o444);
  }
}

/**
 * Lockdown denies these files to everyone, even to root; the mode of a plain file cannot. A link to itself is
 * listed but cannot be opened either (ELOOP, where a real kernel returns EPERM).
 */
function deny(tree: Tree, folder: string, name: string): void {
  tree.link(`${folder}/${name}`, name);
}

/** The top-level files sum over the running VMs. */
export function writeDebugfsTotals(tree: Tree, vms: readonly SimVm[], facts: HostFacts): void {
  const total = (name: string): number =>
    vms.reduce((sum, vm) => sum + vm.vcpus.reduce((of, vcpu) => of + vcpu.statistic(name), 0), 0);
  tree.put(`${KVM}/blocking`, `${total('blocking')}\n`, 0o444);
  if (facts.lockdown === 'none') tree.put(`${KVM}/exits`, `${total('exits')}\n`);
  else deny(tree, KVM, 'exits');
}
