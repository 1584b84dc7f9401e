import { type NetStatistics, readNetStatistics } from '../../probes/sys-class-net.ts';
import { CounterSets } from '../model/continued-counter.ts';
import { type Collector, guarded } from './collector.ts';

const COUNTERS = [
  ['bytes', 'kvm_vm_network_bytes_total'],
  ['packets', 'kvm_vm_network_packets_total'],
  ['dropped', 'kvm_vm_network_dropped_total'],
] as const;
/** The host receives from a tap what the guest sent. */
const DIRECTIONS = [
  ['transmit', 'received'],
  ['receive', 'sent'],
] as const;

/** Traffic of the VMs through their tap devices. */
export function network(): Collector {
  const counters = new CounterSets();

  return {
    name: 'network',
    async collect(collection, report) {
      const { host, families, vms } = collection;
      counters.keep(vms.map(({ key }) => key));
      for (const { key, label: vm, taps = [] } of vms) {
        await collection.yieldIfDue();
        const found: [tap: string, statistics: NetStatistics][] = [];
        for (const tap of taps) {
          guarded(`${host.roots.sysfs}/class/net/${tap}`, report, () => {
            const statistics = readNetStatistics(host, tap);
            if (statistics !== undefined) found.push([tap, statistics]);
          });
        }
        if (found.length === 0) continue;
        for (const [direction, side] of DIRECTIONS)
          for (const [counter, metric] of COUNTERS) {
            const parts = found.map(([tap, each]): [string, number] => [tap, each[side][counter]]);
            const total = counters.of(key).take(`${direction} ${counter}`, 'taps', parts);
            families.add(metric, { vm, direction }, total);
          }
      }
    },
  };
}
