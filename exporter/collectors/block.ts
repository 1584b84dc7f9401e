import { getOrInsert } from '../../kernel/maps.ts';
import { MSEC_PER_SEC, SECTOR_SIZE } from '../../kernel/units.ts';
import type { Host } from '../../probes/host.ts';
import type { Disk } from '../../probes/sys-block.ts';
import { readBlockInflight } from '../../probes/sys-block-inflight.ts';
import { type BlockStat, readBlockStat } from '../../probes/sys-block-stat.ts';
import type { Families } from '../metrics/families.ts';
import { withLabel } from '../metrics/labels.ts';
import { BlockCounters } from '../model/block-counters.ts';
import { CounterSet } from '../model/continued-counter.ts';
import { addSettings, type CarrierSettings, readSettings } from './block-settings.ts';
import { type Collector, guarded } from './collector.ts';

/** Queue settings rarely change, so they are read in one scrape of so many. */
const SETTINGS_EVERY = 10;

/** Block devices that have hardware behind them, and any device that carries a VM's disk. */
export function block(): Collector {
  const settings = new Map<string, readonly CarrierSettings[]>();
  let counters = new Map<string, BlockCounters>();
  let scrapes = 0;

  return {
    name: 'block',
    async collect({ host, families, settings: { blockExclude }, vms, disks, yieldIfDue }, report) {
      if (scrapes++ % SETTINGS_EVERY === 0) settings.clear();
      const kept: typeof counters = new Map();
      for (const { name } of disks) kept.set(name, counters.get(name) ?? new BlockCounters(new CounterSet()));
      counters = kept;
      const used = new Set(vms.flatMap((vm) => vm.blockDevices.map(({ device }) => device)));
      for (const disk of disks) {
        if (disk.hidden || blockExclude.test(disk.name) || !(disk.physical || used.has(disk.name))) continue;
        await yieldIfDue();
        guarded(`${host.roots.sysfs}/block/${disk.name}`, report, () => {
          const known = getOrInsert(settings, disk.name, () => readSettings(host, disk));
          const stat = diskStat(host, disk, kept.get(disk.name) ?? new BlockCounters(new CounterSet()));
          addStat(families, disk.name, stat);
          addInflight(families, host, disk);
          addSettings(families, disk, known);
        });
      }
    },
  };
}

/** If the kernel does not count for a multipath disk, its statistics are the sum over its paths. */
function diskStat(host: Host, disk: Disk, counters: BlockCounters): BlockStat {
  const own = readBlockStat(host, disk.name);
  if (disk.paths.length === 0 || own.reads + own.writes + own.discards + own.flushes > 0) {
    return counters.take('own', new Map([[disk.name, own]]));
  }
  return counters.take('paths', new Map(disk.paths.map((path) => [path, readBlockStat(host, path)])));
}

function addStat(families: Families, device: string, stat: BlockStat): void {
  const labels = families.block({ device });
  families.add('kvm_block_reads_completed_total', labels, stat.reads);
  families.add('kvm_block_reads_merged_total', labels, stat.readsMerged);
  families.add('kvm_block_read_bytes_total', labels, stat.sectorsRead * SECTOR_SIZE);
  families.add('kvm_block_read_time_seconds_total', labels, stat.readMs / MSEC_PER_SEC);
  families.add('kvm_block_writes_completed_total', labels, stat.writes);
  families.add('kvm_block_writes_merged_total', labels, stat.writesMerged);
  families.add('kvm_block_written_bytes_total', labels, stat.sectorsWritten * SECTOR_SIZE);
  families.add('kvm_block_write_time_seconds_total', labels, stat.writeMs / MSEC_PER_SEC);
  families.add('kvm_block_io_time_seconds_total', labels, stat.ioMs / MSEC_PER_SEC);
  families.add('kvm_block_io_time_weighted_seconds_total', labels, stat.weightedIoMs / MSEC_PER_SEC);
  families.add('kvm_block_discards_completed_total', labels, stat.discards);
  families.add('kvm_block_discards_merged_total', labels, stat.discardsMerged);
  families.add('kvm_block_discarded_bytes_total', labels, stat.sectorsDiscarded * SECTOR_SIZE);
  families.add('kvm_block_discard_time_seconds_total', labels, stat.discardMs / MSEC_PER_SEC);
  families.add('kvm_block_flush_requests_total', labels, stat.flushes);
  families.add('kvm_block_flush_requests_time_seconds_total', labels, stat.flushMs / MSEC_PER_SEC);
}

function addInflight(families: Families, host: Host, disk: Disk): void {
  const own = readBlockInflight(host, disk.name);
  const inflight =
    own.reads + own.writes > 0 ? [own] : disk.paths.map((path) => readBlockInflight(host, path));
  const labels = families.block({ device: disk.name });
  families.add('kvm_block_io_now', withLabel(labels, 'direction', 'read'), sum(inflight, 'reads'));
  families.add('kvm_block_io_now', withLabel(labels, 'direction', 'write'), sum(inflight, 'writes'));
}

function sum<K extends string>(rows: readonly Readonly<Record<K, number>>[], key: K): number {
  return rows.reduce((total, row) => total + row[key], 0);
}
