import { Recorder } from '../exporter/compare/recording/recorder.ts';
import { Families } from '../exporter/metrics/families.ts';

const STEP = 60;

/**
 * Records a VM that was in one stage for an hour, and then in another one with twice the I/Os.
 *
 * @param until seconds of the epoch of the last scrape
 */
export async function recordStages(
  file: string,
  stages: readonly [string, string],
  until: number,
): Promise<void> {
  const recorder = new Recorder('kvm1');
  const scrapes = 120;
  let reads = 0;
  for (let i = 0; i < scrapes; i++) {
    const families = new Families(1000);
    const isAfter = i >= scrapes / 2;
    // Not the same each time: a series without noise has no interval.
    reads += (isAfter ? 2000 : 1000) * STEP + 100 * (i % 7);
    families.add('kvm_vm_vcpus', { vm: 'web' }, 4);
    families.add('kvm_vm_stage_info', { vm: 'web', stage: stages[isAfter ? 1 : 0], source: 'detected' }, 1);
    families.add('kvm_vm_disk_reads_completed_total', { vm: 'web', disk: 'vda' }, reads);
    families.add('kvm_vm_disk_writes_completed_total', { vm: 'web', disk: 'vda' }, 0);
    await recorder.record({ file, maxBytes: 1024 ** 2 }, until - (scrapes - 1 - i) * STEP, families.sorted());
  }
}
