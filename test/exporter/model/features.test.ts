import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FEATURES, type Feature, type FeatureInput, featuresOf } from '../../../exporter/model/features.ts';
import type { Disk } from '../../../exporter/model/vm-statistics.ts';
import type { LibvirtDisk } from '../../../probes/libvirt-domain.ts';
import { parseCmdline } from '../../../probes/proc-pid-cmdline.ts';
import { parseQemuDevices } from '../../../probes/qemu-devices.ts';
import { parseQemuOptions } from '../../../probes/qemu-options.ts';
import { captured } from '../../../testing/captured.ts';
import { thread, topologyOf } from '../../../testing/observed-vms.ts';

/** CPUs 0-3 on node 0, 4-7 on node 1. */
const NUMA = topologyOf(2, 4, 1);
const ALL = [0, 1, 2, 3, 4, 5, 6, 7];

const NOTHING: FeatureInput = {
  topology: NUMA,
  threads: [],
  unpinned: undefined,
  memory: undefined,
  deviceNodes: [],
  devices: undefined,
  libvirtDisks: undefined,
  statistics: undefined,
  isStale: false,
  direct: undefined,
};

const PINNED = [
  thread('vcpu0', [0]),
  thread('vcpu1', [1]),
  thread('iothread:io0', [2]),
  thread('emulator', [3]),
];

function get(feature: Feature, more: Partial<FeatureInput>): number | undefined {
  return featuresOf({ ...NOTHING, ...more }).get(feature);
}

function disk(more: Partial<Disk>): Disk {
  return { name: 'vda', queues: undefined, iothreads: undefined, ...more } as Disk;
}

function commandLine(...options: string[]): Partial<FeatureInput> {
  return { devices: parseQemuDevices(parseQemuOptions(['qemu', ...options]).options) };
}

function libvirtDisk(more: Partial<LibvirtDisk>): LibvirtDisk {
  const unsaid = {
    type: undefined,
    iothread: undefined,
    queues: undefined,
    cache: undefined,
    io: undefined,
    source: undefined,
  };
  return { target: 'vda', iothreads: [], ...unsaid, ...more };
}

function statistics(disks: readonly Disk[], pollMaxSeconds: readonly number[] = []): Partial<FeatureInput> {
  const iothreads = pollMaxSeconds.map((poll, i) => ({
    id: `io${i}`,
    pollMaxSeconds: poll,
    pollGrow: 0,
    pollWeight: undefined,
    pollShrink: 0,
    aioMaxBatch: undefined,
  }));
  return { statistics: { disks, iothreads } };
}

test('unknown facts give no features', () => {
  assert.equal(featuresOf(NOTHING).size, 0);
});

test('a VM with everything in force has every feature, but for the engine that it does not use', () => {
  const mapping = '[{"iothread":"io0","vqs":[0]},{"iothread":"io1","vqs":[1]}]';
  const features = featuresOf({
    ...NOTHING,
    threads: [...PINNED, thread('sqpoll0', [3]), thread('vhost0', [3])],
    memory: new Map([[0, 1e9]]),
    deviceNodes: [0],
    ...commandLine(
      ...['-object', 'iothread,id=io0', '-object', 'iothread,id=io1'],
      ...['-blockdev', 'driver=host_device,filename=/dev/nvme0n1,node-name=d0,cache.direct=on,aio=native'],
      ...[
        '-device',
        `{"driver":"virtio-blk-pci","drive":"d0","num-queues":2,"iothread-vq-mapping":${mapping}}`,
      ],
    ),
  });
  assert.deepEqual(
    [...features],
    FEATURES.map((feature) => [feature, feature === 'aio_io_uring' ? 0 : 1]),
  );
});

test('a captured VM has the features of its command line', () => {
  const features = featuresOf({
    ...NOTHING,
    threads: [...PINNED, thread('vhost0', ALL)],
    devices: parseQemuDevices(parseQemuOptions(parseCmdline(captured('proc/244/cmdline'))).options),
  });
  assert.deepEqual(
    [...features],
    [
      ['vcpus_pinned', 1],
      ['io_threads_pinned', 0],
      ['io_separate_from_vcpus', 0],
      ['iothread_polling', 1],
      ['sqpoll', 0],
      ['vhost', 1],
      ['dedicated_iothreads', 1],
      ['iothread_vq_mapping', 0],
      ['cache_none', 1],
      ['aio_native', 1],
      ['aio_io_uring', 0],
    ],
  );
});

test('vCPUs are pinned when none of them may run everywhere', () => {
  const pinned = (...masks: number[][]) =>
    get('vcpus_pinned', { threads: masks.map((mask) => thread('vcpu0', mask)) });
  assert.deepEqual([pinned([1], [2, 3]), pinned([1], ALL), pinned()], [1, 0, undefined]);
  const one = { topology: topologyOf(1, 1, 1), threads: [thread('vcpu0', [0])] };
  assert.equal(get('vcpus_pinned', one), undefined);
});

test('the emulator counts as an I/O thread if there is no other', () => {
  const threads = [thread('vcpu0', [0]), thread('emulator', [0])];
  assert.equal(get('io_threads_pinned', { threads }), 1);
  assert.equal(get('io_separate_from_vcpus', { threads }), 0);
  assert.equal(get('io_separate_from_vcpus', { threads: [...threads, thread('iothread:a', [5])] }), 1);
  assert.equal(get('io_threads_pinned', { threads: [...threads, thread('iothread:a', ALL)] }), 0);
  assert.equal(get('io_separate_from_vcpus', { threads: [thread('vcpu0', [0])] }), undefined);
});

test('a VM is local when threads, memory and device are on the same node', () => {
  const memory = (...sizes: number[]) => new Map(sizes.map((bytes, node) => [node, bytes]));
  const local = (more: Partial<FeatureInput>) =>
    get('numa_local', { threads: PINNED, memory: memory(95, 5), ...more });
  assert.equal(local({}), 1);
  assert.equal(local({ deviceNodes: [0] }), 1);
  assert.equal(local({ deviceNodes: [1] }), 0);
  assert.equal(local({ memory: memory(80, 20) }), 0);
  assert.equal(local({ memory: memory(0, 100) }), 0);
  assert.equal(local({ memory: memory() }), undefined);
  assert.equal(local({ memory: undefined }), undefined);
  assert.equal(local({ threads: [thread('vcpu0', [3, 4])], memory: memory(50, 50) }), 0);
  // A guest with nodes of its own, each vCPU on one of the host's.
  assert.equal(local({ threads: [thread('vcpu0', [0]), thread('vcpu1', [5])], memory: memory(50, 50) }), 1);
  assert.equal(local({ threads: [] }), undefined);
});

test('IOThreads poll unless one of them has polling off, and QMP takes precedence over the command line', () => {
  const polling = (...options: string[]) => get('iothread_polling', commandLine(...options));
  assert.equal(polling('-object', 'iothread,id=a'), 1);
  assert.equal(polling('-object', 'iothread,id=a,poll-max-ns=0'), 0);
  assert.equal(polling('-object', 'iothread,id=a,poll-max-ns=0', '-object', 'iothread,id=b'), 0);
  assert.equal(polling(), 0);
  const line = commandLine('-object', 'iothread,id=a');
  assert.equal(get('iothread_polling', { ...line, ...statistics([], [0]) }), 0);
  assert.equal(get('iothread_polling', { ...line, ...statistics([], []) }), 1);
  assert.equal(get('iothread_polling', statistics([], [0.000032])), 1);
  assert.equal(get('iothread_polling', statistics([], [])), 0);
});

test('SQPOLL and vhost are identified by their threads, vhost also by the command line', () => {
  const threads = [thread('vcpu0', ALL)];
  assert.deepEqual([get('sqpoll', { threads }), get('vhost', { threads })], [0, 0]);
  assert.equal(get('sqpoll', { threads: [thread('sqpoll0', ALL)] }), 1);
  assert.equal(get('vhost', { threads: [thread('vhost0', ALL)] }), 1);
  assert.equal(get('vhost', { threads, ...commandLine('-netdev', 'tap,id=n,vhost=on') }), 1);
  assert.equal(get('vhost', { threads, ...commandLine('-netdev', 'tap,id=n') }), 0);
  assert.equal(get('vhost', commandLine('-netdev', 'tap,id=n')), undefined);
});

test('queues are counted on the disk that has most, against the vCPUs', () => {
  const queues = (...counts: (number | undefined)[]) => {
    const given = { threads: PINNED, ...statistics(counts.map((count) => disk({ queues: count }))) };
    return [get('multiqueue', given), get('queue_per_vcpu', given)];
  };
  assert.deepEqual(queues(1), [0, 0]);
  assert.deepEqual(queues(1, 2), [1, 1]);
  assert.deepEqual(queues(undefined), [undefined, undefined]);
  assert.deepEqual(queues(), [undefined, undefined]);
  assert.equal(get('queue_per_vcpu', statistics([disk({ queues: 4 })])), undefined);
});

test('an IOThread is dedicated when it serves one disk', () => {
  const dedicated = (...disks: (string[] | undefined)[]) =>
    get('dedicated_iothreads', statistics(disks.map((iothreads) => disk({ iothreads }))));
  assert.equal(dedicated(['a'], []), 1);
  assert.equal(dedicated(['a'], ['b']), 1);
  assert.equal(dedicated(['a'], ['a']), 0);
  assert.equal(dedicated(['a', 'b', 'a'], []), 1);
  assert.equal(dedicated(['a', 'b'], ['b']), 0);
  assert.equal(dedicated([]), 0);
  assert.equal(dedicated(undefined), undefined);
});

test('queues on several IOThreads are mapped', () => {
  const mapped = (iothreads: string[]) => get('iothread_vq_mapping', statistics([disk({ iothreads })]));
  assert.deepEqual(
    [mapped(['a', 'b', 'a', 'b']), mapped(['a', 'a']), mapped(['a']), mapped([])],
    [1, 0, 0, 0],
  );
});

test('QMP takes precedence over the command line, and the command line over libvirt', () => {
  const libvirtDisks = [libvirtDisk({ queues: 8, cache: 'none', io: 'io_uring', iothread: 1 })];
  const line = commandLine(
    ...['-drive', '/x,if=none,id=d,cache=writeback', '-device', 'virtio-blk-pci,drive=d,num-queues=1'],
  );
  const of = (more: Partial<FeatureInput>) =>
    (['multiqueue', 'cache_none', 'aio_io_uring', 'dedicated_iothreads'] as const).map((feature) =>
      get(feature, more),
    );
  assert.deepEqual(of({ libvirtDisks }), [1, 1, 1, 1]);
  assert.deepEqual(of({ libvirtDisks, ...line }), [0, 0, 0, 0]);
  const asked = statistics([disk({ queues: 4, iothreads: ['a'] })]);
  assert.deepEqual(of({ libvirtDisks, ...line, ...asked, direct: [true] }), [1, 1, 0, 1]);
  assert.equal(get('cache_none', { direct: [true, false] }), 0);
});

test("libvirt's cache modes are distinguished", () => {
  const direct = (cache: string | undefined) => get('cache_none', { libvirtDisks: [libvirtDisk({ cache })] });
  assert.deepEqual(['none', 'directsync', 'writeback', 'unsafe', undefined].map(direct), [
    1,
    1,
    0,
    0,
    undefined,
  ]);
});

test('a missing value of one source comes from another', () => {
  const libvirtDisks = [libvirtDisk({ io: 'native', cache: 'writeback' })];
  const given = { libvirtDisks, ...commandLine('-device', 'virtio-blk-pci,drive=plugged-in,num-queues=4') };
  assert.deepEqual(
    (['multiqueue', 'aio_native', 'cache_none'] as const).map((feature) => get(feature, given)),
    [1, 1, 0],
  );
});

test('SCSI disks have the queues and the IOThread of their controller, and share it', () => {
  const controller = ['-device', 'virtio-scsi-pci,id=s,num_queues=4,iothread=io0'];
  const disks = ['a', 'b'].flatMap((id) => ['-device', `scsi-hd,drive=${id},bus=s.0`]);
  assert.equal(get('multiqueue', commandLine(...controller, ...disks)), 1);
  assert.equal(get('dedicated_iothreads', commandLine(...controller, ...disks)), 0);
  assert.equal(get('dedicated_iothreads', commandLine(...controller, ...disks.slice(2))), 1);
});

test('a disk with unknown settings makes a "no" unknown, but not a "yes"', () => {
  const two = (first: string, second: string) =>
    commandLine('-device', `virtio-blk-pci,drive=a${first}`, '-device', `virtio-blk-pci,drive=b${second}`);
  const given = (more: Partial<FeatureInput>) => get('multiqueue', { threads: PINNED, ...more });
  assert.equal(given(two(',num-queues=1', ',num-queues=1')), 0);
  assert.equal(given(two(',num-queues=1', '')), undefined);
  assert.equal(given(two(',num-queues=2', '')), 1);
  const nodes = ['-drive', '/x,if=none,id=a,cache=none,aio=native'];
  const disks = ['-device', 'virtio-blk-pci,drive=a', '-device', 'virtio-blk-pci,drive=plugged'];
  assert.equal(get('cache_none', commandLine(...nodes, ...disks)), undefined);
  assert.equal(get('aio_native', commandLine(...nodes, ...disks)), 1);
  assert.equal(get('aio_io_uring', commandLine(...nodes, ...disks)), undefined);
});

test('for a disk that is served outside QEMU only the queues are known', () => {
  const vhost = commandLine('-device', 'vhost-user-blk-pci,chardev=c,num-queues=4');
  assert.equal(get('multiqueue', vhost), 1);
  for (const feature of ['dedicated_iothreads', 'iothread_vq_mapping', 'cache_none', 'aio_native'] as const)
    assert.equal(get(feature, vhost), undefined, feature);
});

test('a CD-ROM is no disk', () => {
  const cd = ['-drive', '/x.iso,if=none,id=cd,readonly=on', '-device', 'scsi-cd,drive=cd'];
  const disk = ['-drive', '/x,if=none,id=d,cache=none', '-device', 'scsi-hd,drive=d'];
  const controller = ['-device', 'virtio-scsi-pci,num_queues=4'];
  assert.equal(get('cache_none', commandLine(...controller, ...cd, ...disk)), 1);
  assert.equal(get('multiqueue', commandLine(...controller, ...cd)), undefined);
  // As QMP lists one on IDE.
  assert.equal(get('multiqueue', statistics([served(4), served(undefined)])), 1);
  assert.equal(get('multiqueue', statistics([served(1), served(undefined)])), 0);
});

function served(queues: number | undefined): Disk {
  return disk({ queues, iothreads: queues === undefined ? undefined : [] });
}

test('an IOThread that no source lists leaves polling unknown', () => {
  const threads = [...PINNED];
  assert.equal(get('iothread_polling', { threads, ...commandLine() }), undefined);
  assert.equal(get('iothread_polling', { threads: [thread('vcpu0', [0])], ...commandLine() }), 0);
  assert.equal(get('iothread_polling', { threads, ...commandLine('-object', 'iothread,id=io0') }), 1);
});
