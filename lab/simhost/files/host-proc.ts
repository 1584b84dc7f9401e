import type { CpuTimes } from '../cpu-times.ts';
import type { SimDisk } from '../disk.ts';
import type { SimVm } from '../vm.ts';
import { writePressure } from './cgroup-files.ts';
import { socketOf } from './cmdline.ts';
import type { HostFacts } from './facts.ts';
import { MOUNT_NAMESPACE, mountinfoText } from './mounts.ts';
import { writeProcess } from './process.ts';
import { statText as taskStat, ticks } from './task.ts';
import type { Tree } from './tree.ts';
import { socketInode } from './vm-static.ts';

/** Files of procfs that do not change after boot. */
export function writeProcStatic(tree: Tree, facts: HostFacts): void {
  writeProcess(tree, {
    pid: 1,
    comm: 'systemd',
    argv: ['/sbin/init'],
    descriptors: new Map(),
    mountNamespace: MOUNT_NAMESPACE,
    mountinfo: mountinfoText(facts.disks),
  });
  tree.put('proc/1/stat', processStat(1, 'systemd'), 0o444);
  tree.put('proc/sys/kernel/hostname', 'simulated-host\n', 0o444);
  tree.put('proc/sys/kernel/osrelease', '6.8.0-simulated\n', 0o444);
  tree.put('proc/cpuinfo', 'processor\t: 0\nmodel name\t: Simulated CPU\n\n', 0o444);
  tree.put('proc/sys/kernel/random/boot_id', '51a0ca7e-0000-4000-8000-000000000001\n', 0o444);
  tree.link('proc/net', 'self/net');
  tree.link('proc/self', '1');
  const partitions = facts.disks.map(({ device, spec }) => {
    return `${String(device.major).padStart(4)} ${String(device.minor).padStart(8)} ${String(781412184).padStart(10)} ${spec.name}\n`;
  });
  tree.put('proc/partitions', `major minor  #blocks  name\n\n${partitions.join('')}`, 0o444);
}

/** A sleeping process: systemd, or one that the caller adds. */
export function processStat(pid: number, comm: string): string {
  return taskStat({
    pid,
    tid: pid,
    comm,
    state: 'S',
    flags: 4194560,
    threads: 1,
    startTicks: 2,
    user: 1,
    system: 1,
    guest: 0,
    cpu: 0,
  });
}

/** Files that change with each step, except those of VMs. */
export function writeProcLive(tree: Tree, facts: HostFacts, times: CpuTimes): void {
  if (facts.pressure !== undefined)
    writePressure(tree, (resource) => `proc/pressure/${resource}`, { cpu: facts.pressure });
  tree.put('proc/stat', statText(facts, times), 0o444);
  tree.put('proc/schedstat', schedstatText(facts, times), 0o444);
  tree.put('proc/uptime', `${facts.uptime.toFixed(2)} ${(times.idleNs / 1e9).toFixed(2)}\n`, 0o444);
  tree.put('proc/vmstat', 'pswpin 0\npswpout 0\nnuma_pages_migrated 0\n', 0o444);
  tree.put('proc/diskstats', facts.disks.map(diskLine).join(''), 0o444);
  tree.put('proc/interrupts', interruptsText(facts), 0o444);
}

/**
 * The counters of /sys/block/<disk>/stat and /proc/diskstats (11 and more):
 * Documentation/admin-guide/iostats.rst.
 */
export function diskCounters(disk: SimDisk): number[] {
  const { of, busyMs } = disk;
  const { read, write, flush } = of;
  // No merges and no discards.
  return [
    [read.done.value, 0, disk.sectors('read'), read.ms.value],
    [write.done.value, 0, disk.sectors('write'), write.ms.value],
    [inflightOf(disk), busyMs.value, read.ms.value + write.ms.value + flush.ms.value],
    [0, 0, 0, 0],
    [flush.done.value, flush.ms.value],
  ].flat();
}

/** block/genhd.c part_in_flight(): a flush is not a read, so it counts as a write. */
export function inflightOf({ of: { read, write, flush } }: SimDisk): number {
  return read.inflight + write.inflight + flush.inflight;
}

function diskLine(disk: SimDisk): string {
  const { major, minor } = disk.device;
  return `${String(major).padStart(4)} ${String(minor).padStart(7)} ${disk.spec.name} ${diskCounters(disk).join(' ')}\n`;
}

/** fs/proc/stat.c show_stat(). */
function statText(facts: HostFacts, times: CpuTimes): string {
  const line = (name: string, cpu: number): string => {
    const { user, system, guest, idle, interrupts } = times.of(cpu);
    return `${name} ${ticks(user)} 0 ${ticks(system)} ${ticks(idle)} 0 0 ${ticks(interrupts)} 0 ${ticks(guest)} 0\n`;
  };
  const interrupts = facts.disks.reduce(
    (sum, { of: { read, write } }) => sum + read.done.value + write.done.value,
    0,
  );
  return (
    line('cpu ', -1) +
    facts.allCpus.map((cpu) => line(`cpu${cpu}`, cpu)).join('') +
    `intr ${interrupts}\nctxt ${times.switches}\nbtime ${facts.bootTime}\nprocesses 4200\nprocs_running 1\n` +
    'procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n'
  );
}

/** kernel/sched/stats.c show_schedstat(), version 15. */
function schedstatText(facts: HostFacts, times: CpuTimes): string {
  const lines = facts.allCpus.map((cpu) => {
    const { run, wait, slices } = times.of(cpu);
    return `cpu${cpu} 0 0 0 0 0 0 ${run} ${wait} ${slices}\n`;
  });
  return `version 15\ntimestamp ${4_294_667_296 + Math.floor(facts.uptime * 250)}\n${lines.join('')}`;
}

/** fs/proc/interrupts.c: a line per hardware queue of each disk. */
function interruptsText(facts: HostFacts): string {
  const { allCpus } = facts;
  const header = `     ${allCpus.map((cpu) => `      CPU${cpu}`.padEnd(11)).join('')}\n`;
  const empty = '          0'.repeat(allCpus.length);
  const lines = facts.disks.flatMap((disk) =>
    disk.queueCpus.map((_, queue) => {
      const cpu = disk.interruptCpu(queue);
      const count = disk.interrupts.value(`${queue} ${cpu}`);
      const counts = empty.slice(0, cpu * 11) + String(count).padStart(11) + empty.slice((cpu + 1) * 11);
      return `${String(interruptNumber(disk, queue)).padStart(4)}:${counts}  PCI-MSIX-0000:${busOf(disk)}:00.0 ${String(queue + 1).padStart(3)}-edge      ${interruptName(disk, queue)}\n`;
    }),
  );
  return `${header}${lines.join('')}${'LOC'.padStart(4)}:${empty}  Local timer interrupts\n${'ERR'.padStart(4)}:${' '.repeat(10)}0\n`;
}

function interruptName({ spec }: SimDisk, queue: number): string {
  return spec.kind === 'nvme' ? `${spec.name.replace(/n\d+$/, '')}q${queue + 1}` : `megasas0-msix${queue}`;
}

/** The disk's PCI bus, in hexadecimal. */
export function busOf(disk: SimDisk): string {
  return (0x10 + disk.spec.node * 0x80 + disk.index).toString(16).padStart(2, '0');
}

export function interruptNumber(disk: SimDisk, queue: number): number {
  return 64 + disk.index * 128 + queue;
}

/** The listening monitors. */
export function monitorSockets(vms: readonly SimVm[]): (readonly [path: string, inode: number])[] {
  return vms.filter(({ spec }) => spec.qmp !== false).map((vm) => [socketOf(vm), socketInode(vm)]);
}
