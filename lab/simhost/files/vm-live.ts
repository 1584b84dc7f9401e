import { formatCpuList } from '../../../kernel/cpu-list.ts';
import type { SimThread } from '../thread.ts';
import type { SimVm } from '../vm.ts';
import { folderOf, writeCgroup, writeQuota } from './cgroup-files.ts';
import type { HostFacts } from './facts.ts';
import { QEMU_FLAGS, statText, type Task, ticks, writeTask } from './task.ts';
import type { Tree } from './tree.ts';
import { cgroupOf, threadCgroup } from './vm-static.ts';

/**
 * Files that change while a VM runs: times, context switches and affinity masks of its threads, and its NUMA
 * memory.
 */
export function writeVmLive(tree: Tree, vm: SimVm, facts: HostFacts): void {
  const tasks = vm.threads.map((thread) => taskOf(thread, vm, facts));
  for (const task of tasks) writeTask(tree, `proc/${vm.pid}/task/${task.tid}`, task);
  for (const { tid } of vm.ended) tree.remove(`proc/${vm.pid}/task/${tid}`);
  vm.ended = [];
  const [main] = tasks;
  if (main !== undefined)
    tree.put(`proc/${vm.pid}/stat`, statText({ ...main, ...timesOf(vm.threads) }), 0o444);
  tree.put(`proc/${vm.pid}/numa_maps`, numaMapsText(vm, facts), 0o444);
  writeCpusets(tree, vm);
  writeCgroup(tree, folderOf(cgroupOf(vm)), vm, facts.pressure !== undefined);
  const [io] = vm.ioThreads;
  if (vm.spec.libvirt === true && io !== undefined)
    writeQuota(tree, `sys/fs/cgroup${threadCgroup(vm, io.tid)}`, vm.ioCgroup);
}

function taskOf(thread: SimThread, vm: SimVm, facts: HostFacts): Task {
  return {
    pid: vm.pid,
    tid: thread.tid,
    comm: thread.spec.comm,
    state: thread.isRunning ? 'R' : 'S',
    flags: QEMU_FLAGS,
    threads: vm.threads.length,
    startTicks: thread.startTicks,
    ...timesOf([thread]),
    runNs: thread.runNs,
    waitNs: thread.wait.value,
    slices: thread.switches,
    voluntary: thread.voluntary.value,
    involuntary: thread.involuntary.value,
    migrations: thread.migrations.value,
    cpu: thread.cpu,
    node: facts.nodeOf(thread.cpu),
    allowed: thread.allowed,
    cpus: facts.allCpus.length,
    nodes: facts.topology.nodes.length,
    swappedBytes: vm.swappedBytes,
  };
}

/** CPU times in clock ticks, summed over threads. */
function timesOf(threads: readonly SimThread[]): Pick<Task, 'user' | 'system' | 'guest'> {
  const sum = (of: (thread: SimThread) => number): number =>
    threads.reduce((total, thread) => total + of(thread), 0);
  return {
    user: ticks(sum(({ user }) => user.value)),
    system: ticks(sum(({ system }) => system.value)),
    guest: sum(({ guestTicks }) => guestTicks),
  };
}

/**
 * libvirt's cpusets follow the configured masks. A manual drift (taskset) does not change the cpusets, and
 * neither does this code.
 */
function writeCpusets(tree: Tree, vm: SimVm): void {
  if (vm.spec.libvirt !== true) return;
  for (const [tid, cpus] of vm.pins) {
    const folder = `sys/fs/cgroup${threadCgroup(vm, tid)}`;
    tree.put(`${folder}/cpuset.cpus.effective`, `${formatCpuList(cpus)}\n`, 0o444);
  }
}

export function removeVmFiles(tree: Tree, vm: SimVm): void {
  tree.remove(`proc/${vm.pid}`);
  tree.remove(folderOf(cgroupOf(vm)));
}

/**
 * `/proc/<pid>/numa_maps`: the guest's memory, in huge pages. 6.3.2: affinity is "batching memory with
 * consideration of the processor affinity"; without it, each node holds half of the memory (assumption).
 */
function numaMapsText(vm: SimVm, facts: HostFacts): string {
  const nodes = facts.topology.nodes.length;
  const pages = (vm.spec.memoryMiB ?? 4096) / 2;
  const share = (node: number): number =>
    vm.calibration.pinned ? (node === vm.node ? pages : 0) : Math.floor(pages / nodes);
  const counts = Array.from({ length: nodes }, (_, node) => [node, share(node)] as const).filter(
    ([, count]) => count > 0,
  );
  const list = counts.map(([node, count]) => ` N${node}=${count}`).join('');
  return (
    '563e8872c000 default file=/usr/bin/qemu-system-x86_64\n' +
    `563e8ad9b000 default heap anon=981 dirty=981 active=0 N${vm.node}=981 kernelpagesize_kB=4\n` +
    `7f3000000000 default file=/anon_hugepage\\040(deleted) huge anon=${pages} dirty=${pages}${list} kernelpagesize_kB=2048\n`
  );
}
