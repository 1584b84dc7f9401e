import { MemoryArchive } from '../exporter/compare/memory-archive.ts';
import type { Series } from '../exporter/prometheus/series.ts';

export const START = 1_760_000_400;
export const INTERVAL = 15;

/** A series of a VM on a host: its value at each scrape, or undefined where it is missing. */
export function seriesOf(
  metric: string,
  labels: Readonly<Record<string, string>>,
  scrapes: number,
  valueAt: (scrape: number) => number | undefined,
): Series {
  const samples = Array.from({ length: scrapes }, (_, i) => [START + i * INTERVAL, valueAt(i)] as const);
  return {
    labels: { __name__: metric, job: 'kvm-telemetry', instance: 'kvm1:9954', vm: 'web', ...labels },
    samples: samples.flatMap(([at, value]) => (value === undefined ? [] : [[at, value] as const])),
  };
}

/** Samples as a recording has them. */
export function memoryArchive(series: readonly Series[]): MemoryArchive {
  const kept = series.map(({ labels, samples }) => ({
    labels,
    times: samples.map(([at]) => at),
    values: samples.map(([, value]) => value),
  }));
  return new MemoryArchive('memory', kept);
}

/** A VM with reads, kicks and CPU time, and the stage at each scrape. */
export function vmSeries(
  scrapes: number,
  { stageAt, iosAt }: { stageAt: (scrape: number) => string; iosAt: (scrape: number) => number },
  labels: Readonly<Record<string, string>> = {},
): Series[] {
  const stages = [...new Set(Array.from({ length: scrapes }, (_, i) => stageAt(i)))];
  const disk = { ...labels, disk: 'vda' };
  const counted = (metric: string, own: Readonly<Record<string, string>>, factor: number): Series =>
    seriesOf(metric, own, scrapes, (i) => factor * iosAt(i));
  return [
    seriesOf('kvm_vm_vcpus', labels, scrapes, () => 4),
    ...stages.map((stage) =>
      seriesOf('kvm_vm_stage_info', { ...labels, stage, source: 'detected' }, scrapes, (i) =>
        stageAt(i) === stage ? 1 : undefined,
      ),
    ),
    counted('kvm_vm_disk_reads_completed_total', disk, 1),
    counted('kvm_vm_disk_writes_completed_total', disk, 0),
    counted('kvm_vm_disk_read_bytes_total', disk, 4096),
    counted('kvm_vm_disk_written_bytes_total', disk, 0),
    counted('kvm_vm_io_path_events_total', { ...labels, step: 'kick' }, 0.5),
    counted('kvm_vm_io_path_events_total', { ...labels, step: 'inject' }, 0.25),
    counted('kvm_vm_io_path_events_total', { ...labels, step: 'eoi' }, 0.25),
    counted(
      'kvm_thread_cpu_seconds_total',
      { ...labels, thread: 'vcpu0', role: 'vcpu', mode: 'guest' },
      1e-5,
    ),
    counted(
      'kvm_thread_cpu_seconds_total',
      { ...labels, thread: 'io0', role: 'iothread', mode: 'system' },
      1e-5,
    ),
  ];
}
