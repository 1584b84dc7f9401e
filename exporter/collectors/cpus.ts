import { formatCpuList } from '../../kernel/cpu-list.ts';
import type { Collector } from './collector.ts';

/** The host's CPUs and their topology. */
export const cpus: Collector = {
  name: 'cpus',
  collect({ families, topology }) {
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
  },
};
