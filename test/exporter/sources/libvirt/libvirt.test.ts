import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Libvirt } from '../../../../exporter/sources/libvirt/libvirt.ts';
import { SourceError } from '../../../../probes/errors.ts';
import { parseDomjobinfo } from '../../../../probes/virsh-domjobinfo.ts';
import { type Domstats, parseDomstats } from '../../../../probes/virsh-domstats.ts';
import { ROOT } from '../../../../testing/daemon.ts';
import { inventoryVm } from '../../../../testing/inventory-vm.ts';
import { watchUnhandledRejections } from '../../../../testing/unhandled-rejections.ts';
import { statisticOf } from '../../../../testing/vcpu-table.ts';

watchUnhandledRejections();

const CAPTURED = readFileSync(`${ROOT}test/fixtures/libvirt/domstats-9.0.txt`, 'utf8');
const SETTINGS = { uri: 'qemu:///system', timeoutMs: 100 };
const LV1 = inventoryVm(10, { domain: 'lv-1', manager: 'libvirt' });
const WEB = inventoryVm(20, { domain: 'web', manager: 'libvirt' });

function libvirt(answer: () => Promise<string>, clock = { ms: 0 }): { source: Libvirt; calls: () => number } {
  let calls = 0;
  const domstats = async (): Promise<Domstats> => {
    calls++;
    return { domains: parseDomstats(await answer()), problems: [] };
  };
  return {
    source: new Libvirt(SETTINGS, { domstats, domjobinfo: async () => undefined }, () => clock.ms),
    calls: () => calls,
  };
}

test('statistics of a captured domain come out as those of a VM', async () => {
  const { source } = libvirt(async () => CAPTURED);
  const { statistics, queried, problems } = await source.query([LV1, WEB]);
  const found = statistics.get(LV1.key);
  assert.equal(found?.source, 'libvirt');
  assert.equal(found?.state, 'running');
  assert.equal(statisticOf(found?.vcpus, 0, 'exits'), 1468585);
  assert.deepEqual(
    found?.disks.map(({ name, iothreads }) => [name, iothreads]),
    [
      ['hda', undefined],
      ['vda', undefined],
    ],
  );
  assert.equal(found?.iothreads[0]?.pollMaxSeconds, 32768e-9);
  assert.deepEqual([...queried], [LV1.key, WEB.key]);
  assert.equal(statistics.has(WEB.key), false, 'a domain that is left out did not answer');
  assert.deepEqual(problems, []);
});

test('without a VM of its own libvirt is not called', async () => {
  const { source, calls } = libvirt(async () => '');
  assert.equal((await source.query([])).queried.size, 0);
  assert.equal(calls(), 0);
});

test('a busy domain without vCPU statistics counts as not responding; the others respond', async () => {
  const busy = "Domain: 'web'\n  state.state=1\n  vcpu.current=2\n  block.count=1\n  block.0.name=vda\n\n";
  const { source } = libvirt(async () => `${CAPTURED}\n${busy}`);
  const { statistics, queried } = await source.query([LV1, WEB]);
  assert.deepEqual([...statistics.keys()], [LV1.key]);
  assert.ok(queried.has(WEB.key));
});

test('a domain that imitates another by line breaks drops both, and never mixes the two', async () => {
  const forged =
    "Domain: 'evil'\n  vcpu.0.exits.sum=1\n  block.0.path=/x\nDomain: 'lv-1'\n  vcpu.0.exits.sum=9\n\n";
  const { source } = libvirt(async () => forged + CAPTURED);
  assert.equal((await source.query([LV1])).statistics.size, 0);
});

test('disks of the same name are distinguished', async () => {
  const { source } = libvirt(async () => CAPTURED.replace('block.0.name=hda', 'block.0.name=vda'));
  const { statistics } = await source.query([LV1]);
  assert.deepEqual(
    statistics.get(LV1.key)?.disks.map(({ name }) => name),
    ['vda', 'vda~2'],
  );
});

test('after a failure libvirt is not called for half a minute, and its VMs are named', async () => {
  const clock = { ms: 0 };
  let works = false;
  const { source, calls } = libvirt(async () => {
    if (!works) throw new SourceError('timeout', SETTINGS.uri, 'no answer');
    return CAPTURED;
  }, clock);
  for (const ms of [0, 15_000, 29_999]) {
    clock.ms = ms;
    const { statistics, queried, problems } = await source.query([LV1]);
    assert.deepEqual([statistics.size, [...queried], problems[0]?.kind], [0, [LV1.key], 'timeout']);
  }
  assert.equal(calls(), 1);
  works = true;
  clock.ms = 30_000;
  assert.equal((await source.query([LV1])).statistics.size, 1);
  assert.deepEqual((await source.query([LV1])).problems, []);
});

test('scrapes at the same time share one call', async () => {
  const { source, calls } = libvirt(async () => CAPTURED);
  const results = await Promise.all([source.query([LV1]), source.query([LV1]), source.query([LV1, WEB])]);
  assert.equal(calls(), 1);
  for (const { statistics } of results) assert.ok(statistics.has(LV1.key));
});

test('a virsh that even SIGKILL does not end is not waited for, and no second one is started', async () => {
  const clock = { ms: 0 };
  const { source, calls } = libvirt(() => new Promise(() => undefined), clock);
  for (let i = 0; i < 2; i++) {
    const { problems } = await source.query([LV1]);
    assert.equal(problems[0]?.kind, 'timeout');
    clock.ms += 30_000;
  }
  assert.equal(calls(), 1);
});

test('output that is not domstats is a failure with a reason', async () => {
  const { source } = libvirt(async () => 'what?\n');
  assert.equal((await source.query([LV1])).problems[0]?.kind, 'malformed');
});

test('a libvirt without KVM statistics reports the others; a domain that lost them is busy', async () => {
  const old = CAPTURED.replace(/^ {2}vcpu\..*\n/gm, '');
  let answer = old;
  const { source } = libvirt(async () => answer);
  assert.equal((await source.query([LV1])).statistics.get(LV1.key)?.disks[0]?.read.operations, 1);
  answer = CAPTURED;
  assert.equal((await source.query([LV1])).statistics.get(LV1.key)?.vcpus.indexes.length, 2);
  answer = old;
  assert.equal((await source.query([LV1])).statistics.size, 0);
});

test('a domain that is sent has its migration, although it is too busy for statistics', async () => {
  const domjobinfo = async (uri: string, uuid: string) => {
    assert.deepEqual([uri, uuid], [SETTINGS.uri, 'uuid-web']);
    return parseDomjobinfo(
      'Job type: 2\n\nmemory_total: 4096\nmemory_processed: 1\nmemory_remaining: 4095\n',
    );
  };
  const domstats = async () => ({ domains: parseDomstats("Domain: 'web'\n  state.state=1\n"), problems: [] });
  const source = new Libvirt(SETTINGS, { domstats, domjobinfo });
  const sent = { ...WEB, uuid: 'uuid-web', job: 'migration out' };
  const { migrations } = await source.query([LV1, sent]);
  assert.deepEqual(
    [...(migrations ?? [])].map(([key, { memory }]) => [key, memory?.total]),
    [[WEB.key, 4096]],
  );
  assert.equal(source.migrationOf(sent)?.status, 'active');
});

test('a domain that arrives is known by its job and its state, until it runs', async () => {
  let state = 3;
  const domstats = async () => ({
    domains: parseDomstats(`Domain: 'web'\n  state.state=${state}\n  block.count=1\n  block.0.name=vda\n`),
    problems: [],
  });
  const source = new Libvirt(SETTINGS, { domstats, domjobinfo: async () => undefined });
  const arriving = { ...WEB, job: 'migration in' };
  const { migrations, arriving: keys } = await source.query([arriving]);
  assert.deepEqual([migrations?.get(WEB.key)?.direction, [...(keys ?? [])]], ['incoming', [WEB.key]]);
  assert.equal((await source.query([WEB])).arriving?.size, 0, 'paused without a job');
  state = 1;
  assert.equal(
    (await source.query([arriving])).arriving?.size,
    0,
    'post-copy: it runs while its memory arrives',
  );
});

test('disks without statistics are no disks with 0 requests: such a domain is busy', async () => {
  const busy =
    "Domain: 'web'\n  state.state=1\n  vcpu.current=2\n  block.count=1\n  block.0.name=vda\n  block.0.path=/x\n";
  const { source } = libvirt(async () => busy);
  assert.equal((await source.query([WEB])).statistics.size, 0);
});
