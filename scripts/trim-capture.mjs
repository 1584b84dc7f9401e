// Trims captures of real hosts to the files that the exporter reads, and writes them to test/fixtures/hosts.
// Usage: node scripts/trim-capture.mjs FOLDER-WITH-CAPTURES (linux-nvme-vhost.tar.gz, toy-pio-hlt.tar.gz)
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from './prepare.mjs';

const KEEP = [
  /^bpf\/(kvm|threads)$/,
  /^proc\/(stat|schedstat|interrupts|partitions|diskstats)$/,
  /^proc\/irq\/\d+\/effective_affinity_list$/,
  /^proc\/\d+\/(stat|status|sched|schedstat|cmdline|comm|numa_maps)$/,
  /^proc\/\d+\/(fd|fdinfo)\/\d+$/,
  /^proc\/\d+\/task\/\d+\/(stat|status|sched|schedstat)$/,
  /^sys\/block\/(nvme\w+|nullb0)$/,
  /^sys\/devices\/.*\/(nvme0n1|nvme0c0n1|nullb0)\/(stat|inflight|dev)$/,
  /^sys\/devices\/.*\/(nvme0n1|nvme0c0n1|nullb0)\/queue\/(scheduler|nr_requests|rotational|io_poll|write_cache|rq_affinity|logical_block_size)$/,
  /^sys\/devices\/.*\/(nvme0n1|nvme0c0n1|nullb0)\/mq\/\d+\/cpu_list$/,
  /^sys\/devices\/.*\/device\/numa_node$/,
  /^sys\/devices\/system\/cpu\/(online|isolated)$/,
  /^sys\/devices\/system\/cpu\/cpu\d+\/topology\/(physical_package_id|core_id|thread_siblings_list)$/,
  /^sys\/devices\/system\/node\/(online|node\d+\/cpulist)$/,
  /^sys\/module\/(kvm|kvm_amd|vhost|vhost_net|nvme|nvme_core)\/parameters\//,
  /^sys\/kernel\/debug\/kvm\/(exits|blocking)$/,
  /^sys\/kernel\/debug\/kvm\/\d+-\d+\//,
  /^sys\/kernel\/tracing\/instances\/[^/]+\/(error_log|events\/.*\/(trigger|hist))$/,
  /^sys\/kernel\/tracing\/events\/kvm\/kvm_(exit|entry|mmio|fast_mmio|pio|msi_set_irq|inj_virq|eoi|pv_eoi|halt_poll_ns|userspace_exit|vcpu_wakeup)\/format$/,
  /^sys\/kernel\/tracing\/events\/(block\/block_rq_(issue|complete)|sched\/sched_(switch|migrate_task)|lock\/contention_(begin|end))\/format$/,
  /^qmp\/.*\/(greeting|query-(stats|stats-schemas|cpus-fast|pci|iothreads|blockstats|block|name|uuid|version|status)[\w.-]*)\.json$/,
];

const [captures] = process.argv.slice(2);
if (captures === undefined) throw new Error('name the folder with the captures');
for (const archive of readdirSync(captures).filter((name) => name.endsWith('.tar.gz'))) {
  const scratch = mkdtempSync(join(tmpdir(), 'capture-'));
  const target = join(root, 'test/fixtures/hosts', archive.replace('.tar.gz', ''));
  rmSync(target, { recursive: true, force: true });
  if (spawnSync('tar', ['xzf', join(captures, archive), '-C', scratch]).status !== 0)
    throw new Error(archive);
  for (const moment of readdirSync(scratch)) {
    for (const name of readdirSync(join(scratch, moment), { recursive: true })) {
      if (!KEEP.some((pattern) => pattern.test(name)) || /^proc\/\d+$/.test(name)) continue;
      const to = join(target, moment, name);
      mkdirSync(dirname(to), { recursive: true });
      cpSync(join(scratch, moment, name), to, { verbatimSymlinks: true, recursive: true, mode: 0 });
    }
  }
  rmSync(scratch, { recursive: true });
}
