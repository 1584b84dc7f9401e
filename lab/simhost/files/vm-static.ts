import { formatCpuList } from '../../../kernel/cpu-list.ts';
import type { SimVm } from '../vm.ts';
import { commandLine } from './cmdline.ts';
import type { HostFacts } from './facts.ts';
import { MOUNT, MOUNT_NAMESPACE, mountinfoText } from './mounts.ts';
import { cgroupText, type Descriptor, writeProcess } from './process.ts';
import type { Tree } from './tree.ts';

/** The kvm-vm descriptor. KVM names the VM's debugfs folder after it. */
export const KVM_FD = 16;
const FIRST_VCPU_FD = 26;
/** Gap after the last vCPU's descriptor. */
const DISK_FD_GAP = 4;
const O_RDWR_DIRECT = '02140002';
const O_WRONLY = '02100001';

/** The inode of the monitor's socket, as in /proc/net/unix. */
export function socketInode(vm: SimVm): number {
  return 100_000 + vm.id;
}

/** Files that do not change while the VM's process runs: its identity and its open files. */
export function writeVmStatic(tree: Tree, vm: SimVm, facts: HostFacts): void {
  writeProcess(tree, {
    pid: vm.pid,
    comm: vm.threads[0]?.spec.comm ?? '',
    argv: commandLine(vm),
    executable: '/usr/bin/qemu-system-x86_64',
    descriptors: descriptorsOf(vm),
    mountNamespace: MOUNT_NAMESPACE,
    mountinfo: mountinfoText(facts.disks),
    cgroup: threadCgroup(vm, vm.pid),
  });
  for (const name of ['sched', 'schedstat', 'status'])
    tree.link(`proc/${vm.pid}/${name}`, `task/${vm.pid}/${name}`);
  for (const { tid } of vm.threads)
    tree.put(`proc/${vm.pid}/task/${tid}/cgroup`, cgroupText(threadCgroup(vm, tid)));
  tree.put('sys/fs/cgroup/cpuset.cpus.effective', `${formatCpuList(facts.allCpus)}\n`, 0o444);
  writeQuotas(tree, vm);
}

/** A VM starts without a CPU quota. */
function writeQuotas(tree: Tree, vm: SimVm): void {
  const leaves = new Set(vm.threads.map(({ tid }) => threadCgroup(vm, tid)));
  for (const path of new Set([...leaves].flatMap(withAncestors))) {
    tree.put(`sys/fs/cgroup${path}/cpu.max`, 'max 100000\n', 0o644);
    const counts = 'nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n';
    tree.put(`sys/fs/cgroup${path}/cpu.stat`, `usage_usec 0\nuser_usec 0\nsystem_usec 0\n${counts}`, 0o444);
  }
}

/** A cgroup and those above it, without the root. */
function withAncestors(path: string): string[] {
  const names = path.split('/').slice(1);
  return names.map((_, depth) => `/${names.slice(0, depth + 1).join('/')}`);
}

function descriptorsOf(vm: SimVm): Map<number, Descriptor> {
  const all = new Map<number, Descriptor>();
  const add = (fd: number, target: string, mount: number, flags?: string): void => {
    all.set(fd, flags === undefined ? { target, mount } : { target, mount, flags });
  };
  add(0, '/dev/null', MOUNT.dev);
  add(1, '/dev/null', MOUNT.dev);
  add(2, `/var/log/libvirt/qemu/${vm.name}.log`, MOUNT.root, O_WRONLY);
  add(3, `socket:[${socketInode(vm)}]`, MOUNT.sockets);
  for (const fd of [4, 5, 6]) add(fd, 'anon_inode:[eventfd]', MOUNT.anonymous);
  add(15, '/dev/kvm', MOUNT.dev);
  add(KVM_FD, 'anon_inode:kvm-vm', MOUNT.anonymous);
  if (vm.spec.vhostNet === true) {
    add(17, '/dev/net/tun', MOUNT.dev);
    add(18, '/dev/vhost-net', MOUNT.dev);
  }
  const { length } = vm.vcpus;
  for (let i = 0; i < length; i++) add(FIRST_VCPU_FD + i, `anon_inode:kvm-vcpu:${i}`, MOUNT.anonymous);
  const firstDisk = FIRST_VCPU_FD + length + DISK_FD_GAP;
  for (const [i, { file, host }] of vm.disks.entries())
    add(firstDisk + i, file, MOUNT.firstDisk + host.index, O_RDWR_DIRECT);
  return all;
}

/**
 * Path of the VM's cgroup, as systemd and libvirt create it. A hyphen in a part of a unit's name is escaped.
 */
export function cgroupOf(vm: SimVm): string {
  const unitName = (text: string): string => text.replaceAll('-', '\\x2d');
  return vm.spec.libvirt === true
    ? `/machine.slice/machine-qemu\\x2d${vm.id}\\x2d${unitName(vm.name)}.scope/libvirt`
    : `/system.slice/vm-${unitName(vm.name)}.service`;
}

/** libvirt creates a cgroup per vCPU and IOThread; vm-live.ts writes their cpusets. */
export function threadCgroup(vm: SimVm, tid: number): string {
  const thread = vm.threads.find((each) => each.tid === tid);
  if (vm.spec.libvirt !== true || thread === undefined) return cgroupOf(vm);
  const { role, index } = thread.spec;
  if (role === 'vcpu') return `${cgroupOf(vm)}/vcpu${index}`;
  return role === 'iothread' ? `${cgroupOf(vm)}/iothread${index + 1}` : `${cgroupOf(vm)}/emulator`;
}
