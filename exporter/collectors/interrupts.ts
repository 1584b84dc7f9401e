import { formatCpuList } from '../../probes/cpu-list.ts';
import { readInterrupts } from '../../probes/proc-interrupts.ts';
import { readIrqEffectiveAffinity } from '../../probes/proc-irq.ts';
import { interruptLabels, nvmeQueueLabels } from '../metrics/label-sets.ts';
import { labelBlock, withLabel } from '../metrics/labels.ts';
import { type Collector, guarded } from './collector.ts';

/** Posted interrupts of KVM, reschedulings, function calls and the local timer: arch/x86/kernel/irq.c. */
const TYPES = new Set(['PIN', 'NPI', 'PIW', 'RES', 'CAL', 'LOC']);
const NVME_QUEUE = /^(nvme\d+)q(\d+)$/;

/** Interrupts that tell about KVM and about NVMe queues. */
export const interrupts: Collector = {
  name: 'interrupts',
  collect({ host, families }, report) {
    const lines = readInterrupts(host, (id, action) => TYPES.has(id) || NVME_QUEUE.test(action));
    for (const { id, count, action } of lines) {
      const queue = NVME_QUEUE.exec(action);
      if (queue === null) {
        families.add('kvm_interrupts_total', labelBlock(interruptLabels, [id]), count);
        continue;
      }
      const [, controller = '', index = ''] = queue;
      const labels = labelBlock(nvmeQueueLabels, [controller, index]);
      families.add('kvm_nvme_queue_interrupts_total', labels, count);
      guarded(`${host.roots.procfs}/irq/${id}`, report, () => {
        const cpus = formatCpuList(readIrqEffectiveAffinity(host, id));
        families.add('kvm_nvme_queue_affinity_info', withLabel(labels, 'cpus', cpus), 1);
      });
    }
  },
};
