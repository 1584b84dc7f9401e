import { readThread } from '../exporter/collectors/thread-counters.ts';
import { resolveConfig } from '../exporter/config/load.ts';
import { rootsOf } from '../exporter/config/roots.ts';
import { Inventory } from '../exporter/inventory/inventory.ts';
import { KernelThreads } from '../exporter/sources/bpf/threads.ts';
import { ifThere } from '../probes/errors.ts';
import { createHost } from '../probes/host.ts';
import { median } from './statistics.ts';

export interface Reading {
  readonly mode: 'auto' | 'off';
  readonly threads: number;
  /** CPU seconds for each thread. */
  readonly cpu: number;
}

/** The cost of reading all counters of all threads of this machine's VMs, without rendering. */
export async function measureReading(mode: Reading['mode'], rounds: number): Promise<Reading> {
  const host = createHost(rootsOf(resolveConfig({}, {}, {})));
  const kernel = new KernelThreads(host, { mode });
  const inventory = new Inventory(host, kernel);
  await inventory.refresh(true);
  const costs: number[] = [];
  let threads = 0;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    threads = 0;
    const snapshot = inventory.readThreads();
    for (const vm of inventory.vms) {
      // Other VMs of this machine may end.
      for (const observation of ifThere(() => inventory.observeThreads(vm, snapshot)) ?? []) {
        readThread(host, observation, undefined, { schedstat: false, sched: false });
        threads++;
      }
    }
    const { user, system } = process.cpuUsage(before);
    costs.push((user + system) / 1e6 / threads);
  }
  kernel.close();
  return { mode, threads, cpu: median(costs) };
}
