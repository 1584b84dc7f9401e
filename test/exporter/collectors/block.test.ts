import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { block } from '../../../exporter/collectors/block.ts';
import type { Collection } from '../../../exporter/collectors/collector.ts';
import { vms } from '../../../exporter/collectors/vms.ts';
import { exposition } from '../../../exporter/http/exposition.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import { readDisks } from '../../../probes/sys-block.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { parseSamples, type Samples, sample, series } from '../../../testing/metrics.ts';

const PCI = '../devices/pci0000:00/0000:00:1f.0';

/** A disk whose seventeen counters are all different. */
function disk(tree: HostTree, name: string, first: number, isPhysical = true): void {
  const stat = Array.from({ length: 17 }, (_, i) => first + i);
  const folder = isPhysical
    ? `sys/devices/pci0000:00/0000:00:1f.0/${name}`
    : `sys/devices/virtual/block/${name}`;
  tree.link(`sys/block/${name}`, isPhysical ? `${PCI}/${name}` : `../devices/virtual/block/${name}`);
  const files = {
    stat: stat.join(' '),
    inflight: ' 3 5',
    dev: `8:${first}`,
    'queue/scheduler': '[none] mq-deadline',
    'queue/nr_requests': '64',
    'queue/rotational': '0',
    'queue/write_cache': 'write back',
    'queue/io_poll': '1',
    'mq/0/cpu_list': '0, 1',
    'mq/1/cpu_list': '2, 3',
  };
  for (const [file, text] of Object.entries(files)) tree.write(`${folder}/${file}`, `${text}\n`);
}

async function textOf(families: Families): Promise<Samples> {
  let text = '';
  for await (const chunk of exposition(families.sorted(), new Registry(), Registry.PROMETHEUS_CONTENT_TYPE))
    text += chunk;
  return parseSamples(text);
}

function collector(context: TestContext, exclude = /^ram/) {
  const tree = hostTree(context);
  const own = block();
  const collect = async (used: readonly string[] = []): Promise<Samples> => {
    const families = new Families(10_000);
    const vm = { label: 'db', blockDevices: used.map((device) => ({ device, depth: 0 })) };
    const disks = readDisks(tree.host);
    const settings = { allVcpuStatistics: false, vcpuReasons: false, blockExclude: exclude };
    const collection = {
      host: tree.host,
      families,
      settings,
      vms: [vm],
      disks,
      yieldIfDue: () => Promise.resolve(),
    };
    await own.collect(collection as unknown as Collection, (problem) => {
      throw problem;
    });
    return textOf(families);
  };
  return { tree, collect };
}

test('each counter of a disk is under its own name, in seconds and bytes', async (context) => {
  const { tree, collect } = collector(context);
  disk(tree, 'sda', 1001);
  const samples = await collect();
  const of = (name: string): number => sample(samples, `kvm_block_${name}`, { device: 'sda' });
  // Documentation/block/stat.rst, in its order; sectors are 512 bytes and times milliseconds.
  const expected = {
    reads_completed_total: 1001,
    reads_merged_total: 1002,
    read_bytes_total: 1003 * 512,
    read_time_seconds_total: 1.004,
    writes_completed_total: 1005,
    writes_merged_total: 1006,
    written_bytes_total: 1007 * 512,
    write_time_seconds_total: 1.008,
    io_time_seconds_total: 1.01,
    io_time_weighted_seconds_total: 1.011,
    discards_completed_total: 1012,
    discards_merged_total: 1013,
    discarded_bytes_total: 1014 * 512,
    discard_time_seconds_total: 1.015,
    flush_requests_total: 1016,
    flush_requests_time_seconds_total: 1.017,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(of(name), value, name);
  const now = (direction: string): number =>
    sample(samples, 'kvm_block_io_now', { device: 'sda', direction });
  assert.deepEqual([now('read'), now('write')], [3, 5]);
});

test('settings are shown, and read again at the tenth scrape', async (context) => {
  const { tree, collect } = collector(context);
  disk(tree, 'sda', 1);
  const before = await collect();
  assert.equal(sample(before, 'kvm_block_queue_requests', { device: 'sda' }), 64);
  assert.equal(sample(before, 'kvm_block_queue_io_poll', { device: 'sda' }), 1);
  assert.equal(sample(before, 'kvm_block_hardware_queues', { device: 'sda' }), 2);
  const info = {
    device: 'sda',
    physical: 'true',
    scheduler: 'none',
    write_cache: 'write back',
    rotational: 'false',
  };
  assert.equal(sample(before, 'kvm_block_info', info), 1);
  assert.equal(
    sample(before, 'kvm_block_hardware_queue_info', { device: 'sda', queue: '1', cpus: '2-3' }),
    1,
  );
  tree.write('sys/block/sda/queue/scheduler', 'none [mq-deadline]\n');
  tree.write('sys/block/sda/queue/nr_requests', '256\n');
  const seen: number[] = [];
  for (let scrape = 0; scrape < 10; scrape++)
    seen.push(sample(await collect(), 'kvm_block_queue_requests', { device: 'sda' }));
  assert.equal(seen.at(-1), 256);
  assert.equal(sample(await collect(), 'kvm_block_info', { device: 'sda', scheduler: 'mq-deadline' }), 1);
});

/** `nvme0n1` with a path by each of two controllers. */
function multipath(tree: HostTree, second: Readonly<Record<string, string>>): void {
  disk(tree, 'nvme0n1', 0, false);
  for (const [i, more] of [{}, second].entries()) {
    const path = `devices/pci${i}/nvme/nvme${i}/nvme0c${i}n1`;
    tree.link(`sys/block/nvme0c${i}n1`, `../${path}`);
    const files = {
      stat: '0 0 0 0 0 0 0 0 0 0 0',
      inflight: '0 0',
      'queue/scheduler': '[none] mq-deadline',
      'queue/nr_requests': '1023',
      'queue/io_poll': '0',
      'mq/0/cpu_list': '0, 1',
      'device/numa_node': '0',
      ...more,
    };
    for (const [file, text] of Object.entries(files)) tree.write(`sys/${path}/${file}`, `${text}\n`);
  }
}

const SETTINGS =
  /^kvm_block_(?:info|numa_node|queue_requests|queue_io_poll|hardware_queues|hardware_queue_info)$/;

function settingsIn(samples: Samples): string[] {
  const names = [...new Set([...samples.keys()].map((key) => key.split('{')[0] ?? ''))];
  return names
    .filter((name) => SETTINGS.test(name))
    .flatMap((name) => series(samples, name))
    .map((key) => `${key} ${samples.get(key)}`)
    .sort();
}

test('paths that agree are one device', async (context) => {
  const { tree, collect } = collector(context);
  multipath(tree, {});
  assert.deepEqual(settingsIn(await collect()), [
    'kvm_block_hardware_queue_info{device="nvme0n1",queue="0",cpus="0-1"} 1',
    'kvm_block_hardware_queues{device="nvme0n1"} 1',
    'kvm_block_info{device="nvme0n1",controller="nvme0,nvme1",physical="true",scheduler="none",write_cache="",rotational=""} 1',
    'kvm_block_numa_node{device="nvme0n1"} 0',
    'kvm_block_queue_io_poll{device="nvme0n1"} 0',
    'kvm_block_queue_requests{device="nvme0n1"} 1023',
  ]);
});

test('requests in flight are those of the multipath disk, or else of its paths', async (context) => {
  const { tree, collect } = collector(context);
  multipath(tree, { inflight: '1 7' });
  const inflight = async (own: string): Promise<number[]> => {
    tree.write('sys/devices/virtual/block/nvme0n1/inflight', `${own}\n`);
    const samples = await collect();
    return ['read', 'write'].map((direction) =>
      sample(samples, 'kvm_block_io_now', { device: 'nvme0n1', direction }),
    );
  };
  assert.deepEqual(await inflight('0 5'), [0, 5]);
  assert.deepEqual(await inflight('4 0'), [4, 0]);
  assert.deepEqual(await inflight('0 0'), [1, 7]);
});

test('a setting in which the paths differ is shown for each path and not for the disk', async (context) => {
  const { tree, collect } = collector(context);
  multipath(tree, {
    'queue/scheduler': 'none [mq-deadline]',
    'queue/nr_requests': '64',
    'mq/0/cpu_list': '0',
    'mq/1/cpu_list': '1',
    'device/numa_node': '1',
  });
  assert.deepEqual(settingsIn(await collect()), [
    'kvm_block_hardware_queue_info{device="nvme0c0n1",queue="0",cpus="0-1"} 1',
    'kvm_block_hardware_queue_info{device="nvme0c1n1",queue="0",cpus="0"} 1',
    'kvm_block_hardware_queue_info{device="nvme0c1n1",queue="1",cpus="1"} 1',
    'kvm_block_hardware_queues{device="nvme0c0n1"} 1',
    'kvm_block_hardware_queues{device="nvme0c1n1"} 2',
    'kvm_block_info{device="nvme0c0n1",controller="nvme0",physical="true",scheduler="none",write_cache="",rotational=""} 1',
    'kvm_block_info{device="nvme0c1n1",controller="nvme1",physical="true",scheduler="mq-deadline",write_cache="",rotational=""} 1',
    'kvm_block_info{device="nvme0n1",controller="nvme0,nvme1",physical="true",scheduler="",write_cache="",rotational=""} 1',
    'kvm_block_numa_node{device="nvme0c0n1"} 0',
    'kvm_block_numa_node{device="nvme0c1n1"} 1',
    'kvm_block_queue_io_poll{device="nvme0n1"} 0',
    'kvm_block_queue_requests{device="nvme0c0n1"} 1023',
    'kvm_block_queue_requests{device="nvme0c1n1"} 64',
  ]);
});

test('disks without hardware are exported if a VM uses them, and excluded ones never', async (context) => {
  const { tree, collect } = collector(context, /^sdb$/);
  disk(tree, 'sda', 1);
  disk(tree, 'sdb', 101);
  disk(tree, 'dm-0', 201, false);
  disk(tree, 'loop0', 301, false);
  const shown = async (used: readonly string[]): Promise<string[]> =>
    series(await collect(used), 'kvm_block_reads_completed_total').map(
      (key) => /device="([^"]+)"/.exec(key)?.[1] ?? '',
    );
  assert.deepEqual(await shown([]), ['sda']);
  assert.deepEqual((await shown(['dm-0', 'sdb'])).sort(), ['dm-0', 'sda']);
});

test('a VM has its identity, its start time, and the devices of its disks', async (context) => {
  const tree = hostTree(context);
  tree.write('proc/stat', 'cpu  1 2 3 4\nbtime 1700000000\n');
  const families = new Families(100);
  const vm: Partial<Vm> = {
    label: 'db',
    name: 'the name',
    uuid: 'the uuid',
    vmm: 'qemu',
    manager: 'libvirt',
    accel: 'kvm',
    machine: 'q35',
    pid: 77,
    startTime: 12_345,
    blockDevices: [
      { device: 'dm-0', depth: 0 },
      { device: 'sda', depth: 1 },
    ],
  };
  const kernel = { statistics: new Map() };
  const settings = { metadataLabels: new Set() };
  const collection = { host: tree.host, families, vms: [vm], kernel, settings };
  await vms().collect(collection as unknown as Collection, (problem) => {
    throw problem;
  });
  const samples = await textOf(families);
  const who = { vm: 'db', name: 'the name', uuid: 'the uuid', vmm: 'qemu', manager: 'libvirt', accel: 'kvm' };
  assert.equal(sample(samples, 'kvm_vm_info', { ...who, machine: 'q35', pid: '77' }), 1);
  // Ticks of USER_HZ since the host booted.
  assert.equal(sample(samples, 'kvm_vm_start_time_seconds', { vm: 'db' }), 1_700_000_123.45);
  assert.equal(sample(samples, 'kvm_vm_block_device_info', { vm: 'db', device: 'dm-0', depth: '0' }), 1);
  assert.equal(sample(samples, 'kvm_vm_block_device_info', { vm: 'db', device: 'sda', depth: '1' }), 1);
  assert.equal(series(samples, 'kvm_vm_block_device_info').length, 2);
});
