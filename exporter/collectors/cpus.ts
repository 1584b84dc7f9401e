import { formatCpuList } from '../../kernel/cpu-list.ts';
import { readCpuModel } from '../../probes/proc-cpuinfo.ts';
import { readKernelNames } from '../../probes/proc-sys-kernel.ts';
import type { Collector } from './collector.ts';

/** The host's CPUs and their topology, their model and the kernel that runs on them. */
export function cpus(): Collector {
  // Neither changes while the kernel runs.
  let facts: { readonly kernel: string; readonly cpu_model: string } | undefined;
  return {
    name: 'cpus',
    collect({ host, families, topology }) {
      for (const cpu of topology?.cpus ?? []) {
        families.add(
          'kvm_cpu_info',
          {
            cpu: cpu.cpu,
            package: cpu.package,
            core: cpu.core,
            node: cpu.node,
            siblings: formatCpuList(cpu.siblings),
            isolated: cpu.isolated,
          },
          1,
        );
      }
      facts ??= { kernel: readKernelNames(host).release ?? '', cpu_model: readCpuModel(host) ?? '' };
      if (facts.kernel !== '' || facts.cpu_model !== '') families.add('kvm_host_info', facts, 1);
    },
  };
}
