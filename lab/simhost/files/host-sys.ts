import { formatCpuList } from '../../../kernel/cpu-list.ts';
import type { CpuTimes } from '../cpu-times.ts';
import type { SimDisk } from '../disk.ts';
import type { HostFacts } from './facts.ts';
import { busOf, diskCounters, interruptNumber } from './host-proc.ts';
import type { Tree } from './tree.ts';

/** Assumption. */
const NOMINAL_KHZ = 3_000_000;
/** Shares of C1 and C6 of the idle time. Assumption. */
const IDLE = [0.25, 0.75];
const LOCKDOWNS = ['none', 'integrity', 'confidentiality'] as const;

/** Files of sysfs that do not change after boot, and the interrupt affinities. */
export function writeSysStatic(
  tree: Tree,
  facts: HostFacts,
  parameters: Readonly<Record<string, string>>,
): void {
  writeCpus(tree, facts);
  for (const disk of facts.disks) writeDisk(tree, disk);
  for (const [name, value] of Object.entries(parameters)) {
    const [module, parameter] = name.split('.');
    tree.put(`sys/module/${module}/parameters/${parameter}`, `${value}\n`, 0o444);
  }
  tree.directory('sys/class/block');
  tree.directory('sys/fs/cgroup');
}

function writeCpus(tree: Tree, { topology, allCpus, frequencies }: HostFacts): void {
  const base = 'sys/devices/system';
  const put = (name: string, text: string): void => tree.put(`${base}/${name}`, `${text}\n`, 0o444);
  put('cpu/online', formatCpuList(allCpus));
  put('cpu/isolated', '');
  // drivers/base/cpu.c print_cpus_nohz_full() without nohz_full=.
  put('cpu/nohz_full', '(null)');
  for (const { cpu, node, core, siblings } of topology.cpus) {
    put(`cpu/cpu${cpu}/topology/physical_package_id`, String(node));
    put(`cpu/cpu${cpu}/topology/core_id`, String(core));
    put(`cpu/cpu${cpu}/topology/thread_siblings_list`, formatCpuList(siblings));
    if (frequencies === undefined) continue;
    put(`cpu/cpu${cpu}/cpufreq/scaling_governor`, 'performance');
    for (const limit of ['scaling_max_freq', 'cpuinfo_max_freq'])
      put(`cpu/cpu${cpu}/cpufreq/${limit}`, String(NOMINAL_KHZ));
    for (const [state, name] of ['POLL', 'C1', 'C6'].entries())
      put(`cpu/cpu${cpu}/cpuidle/state${state}/name`, name);
    put(`cpu/cpu${cpu}/cpuidle/state0/time`, '0');
  }
  put('node/online', formatCpuList(topology.nodes.map((_, node) => node)));
  for (const [node, cpus] of topology.nodes.entries()) put(`node/node${node}/cpulist`, formatCpuList(cpus));
}

/** Path of the disk in the device tree, without `sys/`. */
function devicePath(disk: SimDisk): string {
  const pci = `devices/pci0000:${disk.spec.node === 0 ? '00' : '80'}/0000:${busOf(disk)}:00.0`;
  const { name } = disk.spec;
  return disk.spec.kind === 'nvme'
    ? `${pci}/nvme/${name.replace(/n\d+$/, '')}/${name}`
    : `${pci}/host0/target0:0:${disk.index}/0:0:${disk.index}:0/block/${name}`;
}

function writeDisk(tree: Tree, disk: SimDisk): void {
  const path = devicePath(disk);
  const { major, minor } = disk.device;
  const up = (depth: number): string => '../'.repeat(depth);
  const put = (name: string, text: string): void => tree.put(`sys/${path}/${name}`, `${text}\n`, 0o444);
  tree.link(`sys/block/${disk.spec.name}`, `${up(1)}${path}`);
  tree.link(`sys/class/block/${disk.spec.name}`, `${up(2)}${path}`);
  tree.link(`sys/dev/block/${major}:${minor}`, `${up(2)}${path}`);
  put('dev', `${major}:${minor}`);
  put('size', '1562824368');
  put('queue/scheduler', '[none] mq-deadline ');
  put('queue/nr_requests', disk.spec.kind === 'nvme' ? '1023' : '256');
  put('queue/rotational', '0');
  put('queue/io_poll', '0');
  put('queue/write_cache', 'write through');
  put('queue/rq_affinity', '1');
  put('queue/logical_block_size', '512');
  tree.link(
    `sys/${path}/device`,
    disk.spec.kind === 'nvme' ? `../../${disk.spec.name.replace(/n\d+$/, '')}` : '../..',
  );
  const pci = path.split('/').slice(0, 3).join('/');
  tree.put(`sys/${pci}/numa_node`, `${disk.spec.node}\n`, 0o444);
  if (disk.spec.kind === 'nvme') {
    const controller = path.split('/').slice(0, 5).join('/');
    tree.put(`sys/${controller}/numa_node`, `${disk.spec.node}\n`, 0o444);
    tree.link(`sys/${controller}/device`, '../..');
  }
  for (const [queue, cpus] of disk.queueCpus.entries()) {
    put(`mq/${queue}/cpu_list`, cpus.join(', '));
    const irq = `proc/irq/${interruptNumber(disk, queue)}`;
    tree.put(`${irq}/effective_affinity_list`, `${disk.interruptCpu(queue)}\n`, 0o444);
    tree.put(`${irq}/smp_affinity_list`, `${formatCpuList(cpus)}\n`);
  }
}

export function writeSysLive(tree: Tree, facts: HostFacts, times: CpuTimes): void {
  const states = LOCKDOWNS.map((state) => (state === facts.lockdown ? `[${state}]` : state));
  tree.put('sys/kernel/security/lockdown', `${states.join(' ')}\n`, 0o644);
  for (const [cpu, share] of facts.frequencies ?? []) {
    const folder = `sys/devices/system/cpu/cpu${cpu}`;
    tree.put(`${folder}/cpufreq/scaling_cur_freq`, `${Math.round(NOMINAL_KHZ * share)}\n`, 0o444);
    const usec = times.of(cpu).idle / 1000;
    for (const [state, part] of IDLE.entries())
      tree.put(`${folder}/cpuidle/state${state + 1}/time`, `${Math.floor(usec * part)}\n`, 0o444);
  }
  for (const disk of facts.disks) {
    const path = `sys/${devicePath(disk)}`;
    const counters = diskCounters(disk).map((count) => String(count).padStart(8));
    tree.put(`${path}/stat`, `${counters.join(' ')}\n`, 0o444);
    const { read, write, flush } = disk.of;
    const inflight = [read.inflight, write.inflight + flush.inflight].map((count) =>
      String(count).padStart(8),
    );
    tree.put(`${path}/inflight`, `${inflight.join(' ')}\n`, 0o444);
  }
}
