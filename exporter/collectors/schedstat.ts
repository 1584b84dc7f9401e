import { NSEC_PER_SEC } from '../../kernel/units.ts';
import { readSchedstat } from '../../probes/proc-schedstat.ts';
import type { Collector } from './collector.ts';

/** Run and wait time of each CPU. */
export const schedstat: Collector = {
  name: 'schedstat',
  collect({ host, families }) {
    for (const { cpu, run, wait, timeslices } of readSchedstat(host)) {
      const labels = families.block({ cpu });
      families.add('kvm_cpu_run_seconds_total', labels, run / NSEC_PER_SEC);
      families.add('kvm_cpu_wait_seconds_total', labels, wait / NSEC_PER_SEC);
      families.add('kvm_cpu_timeslices_total', labels, timeslices);
    }
  },
};
