import { IO_BYTES } from '../calibration.ts';
import { queueMapping } from '../files/cmdline.ts';
import { vmStatistic } from '../files/debugfs.ts';
import { type StatisticKind, VCPU_STATISTICS, VM_STATISTICS } from '../statistics.ts';
import type { SimVcpu } from '../vcpu.ts';
import type { SimVm, VmDisk } from '../vm.ts';
import { type Arguments, QmpError, type Replies } from './server.ts';

/** Replies of QEMU 9.2 for a VM: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html */
export function repliesOf(vm: SimVm): Replies {
  return {
    'query-version': { qemu: { micro: 0, minor: 2, major: 9 }, package: '' },
    'query-name': { name: vm.name },
    'query-uuid': { UUID: vm.uuid },
    'query-status': { status: 'running', running: true },
    'query-migrate': () => migration(vm),
    'query-cpus-fast': () => vm.vcpus.map(cpu),
    'query-iothreads': () => iothreads(vm),
    'query-block': () => vm.disks.map(block),
    'query-blockstats': () => vm.disks.map((disk) => blockstats(disk, vm.spec.ioBytes)),
    'query-stats': (args: Arguments) => stats(vm, args),
    'query-stats-schemas': () => [schema('vm', VM_STATISTICS), schema('vcpu', VCPU_STATISTICS)],
    'query-pci': () => [{ bus: 0, devices: vm.disks.map((disk, i) => pciDevice(vm, disk, i)) }],
    'qom-get': (args: Arguments) => property(vm, args),
  };
}

/** QEMU creates another device between two vCPUs: [0], [2], [4] as on the captured host. */
function qomPath(vcpu: SimVcpu): string {
  return `/machine/unattached/device[${vcpu.index * 2}]`;
}

/** Assumption: half of the memory is sent, and the guest writes 200 MB a second. */
function migration({ spec: { memoryMiB = 4096 }, faults: { isMigrating = false } }: SimVm): unknown {
  if (!isMigrating) return {};
  const total = memoryMiB * 1024 * 1024;
  const ram = { total, transferred: total / 2, remaining: total / 2, mbps: 8000 };
  return {
    status: 'active',
    'expected-downtime': 300,
    ram: { ...ram, 'dirty-pages-rate': 48_828, 'dirty-sync-count': 2, 'page-size': 4096 },
  };
}

function cpu(vcpu: SimVcpu): unknown {
  return {
    'thread-id': vcpu.thread.tid,
    props: { 'core-id': vcpu.index, 'thread-id': 0, 'socket-id': 0 },
    'qom-path': qomPath(vcpu),
    'cpu-index': vcpu.index,
    target: 'x86_64',
  };
}

function iothreads({ ioThreads, calibration }: SimVm): unknown {
  return ioThreads.map(({ tid, spec: { id } }) => ({
    id,
    'thread-id': tid,
    'poll-max-ns': calibration.pollMaxNs,
    'poll-grow': 0,
    'poll-shrink': 0,
    'aio-max-batch': 0,
  }));
}

function backend(disk: VmDisk): string {
  return `/machine/peripheral/${disk.id}/virtio-backend`;
}

function block(disk: VmDisk): unknown {
  return {
    'io-status': 'ok',
    device: '',
    locked: false,
    removable: false,
    inserted: {
      ro: false,
      drv: 'raw',
      'node-name': `${disk.id}-node`,
      file: disk.file,
      cache: { 'no-flush': false, direct: true, writeback: true },
    },
    qdev: backend(disk),
    type: 'unknown',
  };
}

/** Window 4 of a virtio device has the addresses at which its queues are notified: hw/virtio/virtio-pci.c. */
function pciDevice(vm: SimVm, { id }: VmDisk, index: number): unknown {
  const { address, size } = vm.notifyWindow(index);
  return {
    bus: 0,
    slot: index + 1,
    function: 0,
    qdev_id: id,
    irq: 11,
    irq_pin: 1,
    class_info: { class: 256, desc: 'SCSI controller' },
    id: { device: 0x1042, vendor: 0x1af4, subsystem: 0x1100, 'subsystem-vendor': 0x1af4 },
    regions: [{ bar: 4, type: 'memory', address, size, prefetch: true, mem_type_64: true }],
  };
}

function blockstats(disk: VmDisk, ioBytes = IO_BYTES): unknown {
  const { read, write, flush } = disk.of;
  return {
    device: '',
    'node-name': `${disk.id}-node`,
    qdev: backend(disk),
    stats: {
      rd_operations: read.done.value,
      rd_bytes: read.done.value * ioBytes,
      rd_total_time_ns: read.ns.value,
      rd_merged: 0,
      failed_rd_operations: 0,
      invalid_rd_operations: 0,
      wr_operations: write.done.value,
      wr_bytes: write.done.value * ioBytes,
      wr_total_time_ns: write.ns.value,
      wr_merged: 0,
      flush_operations: flush.done.value,
      flush_total_time_ns: flush.ns.value,
      unmap_operations: 0,
      unmap_bytes: 0,
      unmap_total_time_ns: 0,
      timed_stats: [],
    },
  };
}

type Named = readonly (readonly [string, StatisticKind])[];

/** In QEMU's order, which reverses the kernel's. */
function stats(vm: SimVm, { target, providers }: Arguments): unknown {
  const wanted = namesOf(providers);
  const chosen = (all: Named): Named =>
    all.filter(([name]) => wanted === undefined || wanted.includes(name)).toReversed();
  if (target === 'vm') {
    const values = chosen(VM_STATISTICS).map(([name]) => ({ name, value: vmStatistic(vm, name) }));
    return [{ provider: 'kvm', stats: values }];
  }
  if (target !== 'vcpu')
    throw new QmpError('GenericError', `Parameter 'target' does not accept value '${String(target)}'`);
  const ofVcpu = (vcpu: SimVcpu): unknown => ({
    provider: 'kvm',
    stats: chosen(VCPU_STATISTICS).map(([name, kind]) => ({ name, value: statisticOf(vcpu, name, kind) })),
    'qom-path': qomPath(vcpu),
  });
  return vm.vcpus.map(ofVcpu).toReversed();
}

function statisticOf(vcpu: SimVcpu, name: string, kind: StatisticKind): unknown {
  // util/stats: QEMU prepends each bucket to its list.
  if (kind === 'histogram') return vcpu.histograms[name]?.buckets.toReversed() ?? [];
  return kind === 'boolean' ? vcpu.statistic(name) === 1 : vcpu.statistic(name);
}

function namesOf(providers: unknown): string[] | undefined {
  if (!Array.isArray(providers)) return undefined;
  const [first] = providers as { names?: string[] }[];
  return first?.names;
}

function schema(target: string, all: Named): unknown {
  const types = { boolean: 'instant', histogram: 'log2-histogram' } as const;
  return {
    provider: 'kvm',
    target,
    stats: all.toReversed().map(([name, kind]) => ({
      name,
      exponent: /_ns$|_hist$/.test(name) ? -9 : 0,
      ...(/_ns$|_hist$/.test(name) ? { unit: 'seconds', base: 10 } : {}),
      ...(kind === 'boolean' ? { unit: 'boolean' } : {}),
      type: kind === 'boolean' || kind === 'histogram' ? types[kind] : kind,
    })),
  };
}

function property(vm: SimVm, { path, property: name }: Arguments): unknown {
  const disk = vm.disks.findIndex(({ id }) => path === `/machine/peripheral/${id}`);
  if (disk < 0) throw new QmpError('DeviceNotFound', `Device '${String(path)}' not found`);
  const mapping = queueMapping(vm, disk);
  if (name === 'num-queues') return vm.queues;
  if (name === 'iothread') return mapping.length === 1 ? `/objects/${mapping[0]?.iothread}` : '';
  if (name === 'iothread-vq-mapping') return mapping.length === 1 ? [] : mapping;
  throw new QmpError('GenericError', `Property 'virtio-blk-device.${String(name)}' not found`);
}
