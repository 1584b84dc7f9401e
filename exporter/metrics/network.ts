import { counter } from './definition.ts';

const TAPS = 'tap devices of the VM. direction: transmit (the guest sent), receive';
const SOURCE = '/proc/<pid>/fdinfo/<fd>, /sys/class/net/<tap>/statistics';
const KEPT = { kind: 'sum', how: 'over its tap devices; it keeps the counts of removed ones' } as const;

export const networkMetrics = {
  kvm_vm_network_bytes_total: counter(['vm', 'direction'], `Bytes through the ${TAPS}.`, SOURCE, KEPT),
  kvm_vm_network_packets_total: counter(['vm', 'direction'], `Packets through the ${TAPS}.`, SOURCE, KEPT),
  kvm_vm_network_dropped_total: counter(
    ['vm', 'direction'],
    `Packets that the host dropped at the ${TAPS}.`,
    SOURCE,
    KEPT,
  ),
} as const;
