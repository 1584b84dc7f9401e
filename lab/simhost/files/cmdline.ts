import type { SimVm } from '../vm.ts';

/** The default folder for QMP sockets. */
export const QMP_FOLDER = '/run/kvm-telemetry/qmp';

export function socketOf(vm: SimVm): string {
  return `${QMP_FOLDER}/${vm.name}.sock`;
}

/** The IOThread of each queue of a disk; one entry if one IOThread serves all queues. */
export function queueMapping(vm: SimVm, disk: number): { iothread: string; vqs: number[] }[] {
  const mapping = new Map<string, number[]>();
  for (let queue = 0; queue < vm.queues; queue++) {
    const id = vm.ioThreadOf(disk, queue)?.spec.id ?? '';
    mapping.set(id, [...(mapping.get(id) ?? []), queue]);
  }
  return [...mapping].map(([iothread, vqs]) => ({ iothread, vqs }));
}

/** The command line of QEMU 9.2 for this VM: https://www.qemu.org/docs/master/system/invocation.html */
export function commandLine(vm: SimVm): string[] {
  const { spec } = vm;
  const objects = vm.ioThreads.flatMap(({ spec: { id } }) => [
    '-object',
    `iothread,id=${id},poll-max-ns=${vm.calibration.pollMaxNs}`,
  ]);
  const disks = vm.disks.flatMap(({ id, file }, d) => [
    '-blockdev',
    `driver=raw,node-name=${id}-node,cache.direct=on,file.driver=file,file.filename=${file},file.aio=${spec.sqpoll === true ? 'io_uring' : 'native'}`,
    '-device',
    device(vm, d),
  ]);
  const net =
    spec.vhostNet === true
      ? ['-netdev', 'tap,id=net0,vhost=on', '-device', 'virtio-net-pci,netdev=net0']
      : [];
  const qmp = spec.qmp === false ? [] : ['-qmp', `unix:${socketOf(vm)},server=on,wait=off`];
  return [
    '/usr/bin/qemu-system-x86_64',
    '-name',
    `guest=${vm.name},debug-threads=on`,
    '-uuid',
    vm.uuid,
    '-machine',
    'q35,accel=kvm',
    '-cpu',
    'host',
    '-smp',
    String(vm.vcpus.length),
    '-m',
    String(spec.memoryMiB ?? 4096),
    ...objects,
    ...disks,
    ...net,
    ...qmp,
  ];
}

function device(vm: SimVm, disk: number): string {
  const { id } = vm.disks[disk] ?? { id: '' };
  const mapping = queueMapping(vm, disk);
  const common = { driver: 'virtio-blk-pci', drive: `${id}-node`, 'num-queues': vm.queues, id };
  const [only] = mapping;
  if (mapping.length === 1) {
    return `virtio-blk-pci,drive=${common.drive},num-queues=${vm.queues},iothread=${only?.iothread},id=${id}`;
  }
  return JSON.stringify({ ...common, 'iothread-vq-mapping': mapping });
}
