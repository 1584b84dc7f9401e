import { formatCpuList } from '../../kernel/cpu-list.ts';
import { cpuInfoLabels } from '../metrics/label-sets.ts';
import { labelBlock } from '../metrics/labels.ts';
import type { Collector } from './collector.ts';

/** The host's CPUs and their topology. */
export const cpus: Collector = {
  name: 'cpus',
  collect({ families, topology }) {
    for (const cpu of topology?.cpus ?? []) {
      families.add(
        'kvm_cpu_info',
        labelBlock(cpuInfoLabels, [
          String(cpu.cpu),
          String(cpu.package),
          String(cpu.core),
          cpu.node === undefined ? '' : String(cpu.node),
          formatCpuList(cpu.siblings),
          String(cpu.isolated),
        ]),
        1,
      );
    }
  },
};
