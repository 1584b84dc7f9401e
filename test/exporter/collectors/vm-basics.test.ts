import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { type Samples, sample, series } from '../../../testing/metrics.ts';
import { until } from '../../../testing/patience.ts';
import { KVM_VM, qemuProcess } from '../../../testing/qemu-process.ts';

const UUID = '11111111-2222-4333-8444-555555555555';

function managed(context: TestContext, metadata: string, name = 'web'): HostTree {
  const tree = hostTree(context);
  const qemu = qemuProcess(10, name);
  tree.process({ ...qemu, argv: [...(qemu.argv ?? []), '-uuid', UUID] });
  const domain = `<domain type='kvm' id='1'><name>${name}</name><uuid>${UUID}</uuid><metadata>${metadata}</metadata></domain>`;
  tree.write(
    `run/libvirt/qemu/${name}.xml`,
    `<domstatus state='running' reason='booted' pid='10'>${domain}</domstatus>\n`,
  );
  return tree;
}

async function metadataOf(tree: HostTree, context: TestContext, labels?: string): Promise<string[]> {
  const { scrape } = await exporterOf(
    context,
    tree,
    labels === undefined ? {} : { 'metadata.labels': labels },
  );
  return series(await scrape(), 'kvm_vm_metadata_info');
}

const NOVA = (project: string): string =>
  `<nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"><nova:flavor name="m1.small"><nova:memory>2048</nova:memory></nova:flavor><nova:owner><nova:user uuid="u1">alice</nova:user><nova:project uuid="p1">${project}</nova:project></nova:owner></nova:instance>`;

test("Nova's tenant, project and flavor, as far as they are allowed", async (context) => {
  const tree = managed(context, NOVA('shop'));
  assert.deepEqual(await metadataOf(tree, context), []);
  assert.deepEqual(await metadataOf(tree, context, 'project,flavor'), [
    'kvm_vm_metadata_info{vm="web",tenant="",project="shop",flavor="m1.small",tags=""}',
  ]);
  assert.deepEqual(await metadataOf(tree, context, 'tenant'), [
    'kvm_vm_metadata_info{vm="web",tenant="p1",project="",flavor="",tags=""}',
  ]);
});

test("KubeVirt's namespace is the project", async (context) => {
  const tree = managed(context, '<kubevirt xmlns="http://kubevirt.io"><uid/></kubevirt>', 'team-a_vm1');
  assert.deepEqual(await metadataOf(tree, context, 'tenant,project,flavor'), [
    'kvm_vm_metadata_info{vm="team-a_vm1",tenant="",project="team-a",flavor="",tags=""}',
  ]);
});

test('hostile metadata: control characters, a long value, thousands of elements, a list where one is expected', async (context) => {
  const many = Array.from({ length: 5000 }, (_, i) => `<label key="k${i}">v</label>`).join('');
  const [line = '', ...others] = await metadataOf(
    managed(context, NOVA(`a\x1b[31m&quot;\n${'x'.repeat(500_000)}`) + many),
    context,
    'project',
  );
  assert.deepEqual(others, []);
  assert.ok(line.length < 500, `${line.length} characters`);
  assert.match(line, /project="a\?\[31m\\"\?x+/);
  const twice = managed(context, NOVA('a') + NOVA('b'));
  assert.deepEqual(await metadataOf(twice, context, 'project'), []);
});

test('a megabyte of metadata is reported, and the VM stays', async (context) => {
  const tree = managed(context, `<x>${'y'.repeat(1_100_000)}</x>`);
  const { scrape } = await exporterOf(context, tree, { 'metadata.labels': 'project' });
  const samples = await scrape();
  assert.equal(series(samples, 'kvm_vm_info', { vm: 'web' }).length, 1);
  assert.deepEqual(series(samples, 'kvm_vm_metadata_info'), []);
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'libvirt' }), 0);
});

function ofProxmox(context: TestContext, pid = 10): HostTree {
  const tree = hostTree(context);
  const qemu = qemuProcess(10, 'web');
  tree.process({ ...qemu, argv: [...(qemu.argv ?? []), '-id', '101'] });
  tree.write('proc/uptime', '1000.00 1.00\n');
  tree.write('run/qemu-server/101.pid', `${pid}\n`);
  tree.write('etc/pve/qemu-server/101.conf', 'tags: web;prod\n\n[old]\ntags: old\n');
  return tree;
}

const TAGGED = (tags: string) => [
  `kvm_vm_metadata_info{vm="web",tenant="",project="",flavor="",tags="${tags}"}`,
];

test('current tags of Proxmox VE, if they are allowed', async (context) => {
  const tree = ofProxmox(context);
  assert.deepEqual(await metadataOf(tree, context, 'tenant,project,flavor'), []);
  const { scrape } = await exporterOf(context, tree, { 'metadata.labels': 'tags' });
  const metadata = async () => series(await scrape(), 'kvm_vm_metadata_info');
  await until(async () => (await metadata()).length > 0);
  assert.deepEqual(await metadata(), TAGGED('prod,web'));
  tree.write('etc/pve/qemu-server/101.conf', 'tags: test\n');
  tree.write('proc/uptime', '1059.00 1.00\n');
  await metadata();
  assert.deepEqual(await metadata(), TAGGED('prod,web'), 'for a minute they are not read again');
  tree.write('proc/uptime', '1060.00 1.00\n');
  await until(async () => (await metadata()).join() === TAGGED('test').join());
});

test('a process that claims the number of a Proxmox VE VM, but is not that VM, has no tags', async (context) => {
  const tree = ofProxmox(context, 11);
  tree.process({ ...qemuProcess(20, 'db'), argv: [...(qemuProcess(20, 'db').argv ?? []), '-id', '102'] });
  tree.write('run/qemu-server/102.pid', '20\n');
  tree.write('etc/pve/qemu-server/102.conf', 'tags: db\n');
  const { scrape } = await exporterOf(context, tree, { 'metadata.labels': 'tags' });
  // db is read after web.
  let found: string[] = [];
  await until(async () => {
    found = series(await scrape(), 'kvm_vm_metadata_info');
    return found.length > 0;
  });
  assert.deepEqual(found, [TAGGED('db')[0]?.replace('web', 'db')]);
});

test('one file of Proxmox VE that cannot be read is reported, and the others are read', async (context) => {
  const tree = ofProxmox(context);
  tree.process({ ...qemuProcess(20, 'aa'), argv: [...(qemuProcess(20, 'aa').argv ?? []), '-id', '102'] });
  tree.write('run/qemu-server/102.pid', '20\n');
  mkdirSync(join(tree.folder, 'etc/pve/qemu-server/102.conf'));
  const { scrape } = await exporterOf(context, tree, { 'metadata.labels': 'tags' });
  await until(
    async () => series(await scrape(), 'kvm_vm_metadata_info').join() === TAGGED('prod,web').join(),
  );
  assert.equal(sample(await scrape(), 'kvm_telemetry_collector_success', { collector: 'vms' }), 0);
});

function withTap(context: TestContext): HostTree {
  const tree = hostTree(context);
  tree.process(qemuProcess(10, 'web', { fds: { 9: KVM_VM, 20: '/dev/net/tun', 21: '/dev/net/tun' } }));
  // Two queues of one device.
  for (const fd of [20, 21])
    tree.write(`proc/10/fdinfo/${fd}`, 'pos:\t0\nflags:\t02\nmnt_id:\t9\niff:\tvnet0\n');
  return tree;
}

function writeCounters(tree: HostTree, base: number): void {
  for (const [i, name] of [
    'rx_bytes',
    'rx_packets',
    'rx_dropped',
    'tx_bytes',
    'tx_packets',
    'tx_dropped',
  ].entries())
    tree.write(`sys/class/net/vnet0/statistics/${name}`, `${base + i}\n`);
}

const trafficOf = (samples: Samples, metric: string, direction: string): number =>
  sample(samples, `kvm_vm_network_${metric}_total`, { vm: 'web', direction });

test("traffic of a tap from the guest's view; no counter falls when the device is created again", async (context) => {
  const tree = withTap(context);
  writeCounters(tree, 1000);
  const { scrape } = await exporterOf(context, tree, { 'collector.network': true });
  const samples = await scrape();
  assert.deepEqual(
    [trafficOf(samples, 'bytes', 'transmit'), trafficOf(samples, 'dropped', 'receive')],
    [1000, 1005],
  );
  writeCounters(tree, 10);
  assert.equal(trafficOf(await scrape(), 'bytes', 'transmit'), 1000);
  writeCounters(tree, 15);
  assert.equal(trafficOf(await scrape(), 'bytes', 'transmit'), 1005);
});

test('off by default, and nothing for a tap in another network namespace', async (context) => {
  const tree = withTap(context);
  const { scrape } = await exporterOf(context, tree, { 'collector.network': true });
  assert.deepEqual(series(await scrape(), 'kvm_vm_network_bytes_total'), []);
  writeCounters(tree, 1);
  const usual = await exporterOf(context, tree);
  assert.deepEqual(series(await usual.scrape(), 'kvm_vm_network_bytes_total'), []);
});
