import type { SimDisk } from './disk.ts';
import { mountPoint } from './files/mounts.ts';
import { SimThread, type ThreadSpec } from './thread.ts';
import { ioThreadCount, SimVm, VmOperations, type VmSpec } from './vm.ts';

/** Host resources of a new VM. */
export interface Birth {
  readonly spec: VmSpec;
  /** Number of VMs created before. */
  readonly id: number;
  readonly pid: number;
  readonly startTicks: number;
  readonly disks: readonly SimDisk[];
  readonly allCpus: readonly number[];
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

export function makeVm({ spec, id, pid, startTicks, disks, allCpus }: Birth): SimVm {
  const names = spec.disks ?? disks.slice(0, 1).map((disk) => disk.spec.name);
  const vmDisks = names.map((name, i) => {
    const host = disks.find((disk) => disk.spec.name === name);
    if (host === undefined) throw new Error(`VM ${spec.name}: the host has no disk ${name}`);
    const file = `${mountPoint(host)}/${spec.name}-${i}.img`;
    const of = { read: new VmOperations(), write: new VmOperations(), flush: new VmOperations() };
    return { id: `vd${LETTERS[i]}`, file, host, of };
  });
  const threads = threadsOf(spec, vmDisks.length, pid).map(
    (thread, i) =>
      new SimThread(pid + i, thread, startTicks + i, allCpus, allCpus[(id * 7 + i) % allCpus.length] ?? 0),
  );
  return new SimVm({
    spec,
    id,
    uuid: uuidOf(spec.name),
    threads,
    disks: vmDisks,
    node: spec.node ?? vmDisks[0]?.host.spec.node ?? 0,
  });
}

/** In the order in which QEMU creates them. */
function threadsOf(spec: VmSpec, disks: number, pid: number): ThreadSpec[] {
  const { vcpus = 6 } = spec;
  const threads: ThreadSpec[] = [
    { role: 'emulator', comm: 'qemu-system-x86', index: 0 },
    { role: 'other', comm: 'call_rcu', index: 0 },
  ];
  for (let index = 0; index < ioThreadCount(spec.configuration, disks); index++) {
    const id = spec.libvirt === true ? `iothread${index + 1}` : `io${index}`;
    threads.push({ role: 'iothread', comm: `IO ${id}`.slice(0, 15), index, id });
  }
  for (let index = 0; index < vcpus; index++) threads.push({ role: 'vcpu', comm: `CPU ${index}/KVM`, index });
  if (spec.vhostNet === true) threads.push({ role: 'vhost', comm: `vhost-${pid}`, index: 0 });
  if (spec.sqpoll === true) threads.push({ role: 'sqpoll', comm: `iou-sqp-${pid}`, index: 0 });
  return threads;
}

/** FNV-1a of the name, in the form of a UUID, so that it stays the same after a reboot. */
function uuidOf(name: string): string {
  const hash = (seed: number): string => {
    let value = seed;
    for (const letter of Buffer.from(name)) value = Math.imul(value ^ letter, 0x01000193) >>> 0;
    return value.toString(16).padStart(8, '0');
  };
  const hex = [0x811c9dc5, 0x1234567, 0x89abcdef, 0x0badcafe].map(hash).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}
