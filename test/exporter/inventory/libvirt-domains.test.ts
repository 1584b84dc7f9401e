import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { LibvirtDomains } from '../../../exporter/inventory/libvirt-domains.ts';
import type { LibvirtDomain } from '../../../probes/libvirt-domstatus.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { DOMSTATUS } from '../../probes/domstatus-sample.ts';

const STATE = 'run/libvirt/qemu/debian-12.xml';
const DEFINITION = 'etc/libvirt/qemu/debian-12.xml';

/** A tree whose files change when they are written, however fast the test is. */
function libvirtTree(context: TestContext): HostTree & { put(path: string, text: string): void } {
  const tree = hostTree(context);
  let now = 1000;
  const put = (path: string, text: string): void => {
    tree.write(path, text);
    now += 1;
    utimesSync(`${tree.folder}/${path}`, now, now);
  };
  return { ...tree, put };
}

function definition(cputune: string): string {
  return `<domain type='kvm'><name>debian-12</name><cputune>${cputune}</cputune></domain>\n`;
}

function pinsOf(domain: LibvirtDomain | undefined): unknown {
  const { vcpus, iothreads, emulator } = domain?.pins ?? {};
  return [Object.fromEntries(vcpus ?? []), Object.fromEntries(iothreads ?? []), emulator];
}

const LIVE = [{ 0: [1], 2: [2, 4] }, { 1: [5] }, [0]];

test('a running domain is known by the pid of its QEMU', (context) => {
  const tree = libvirtTree(context);
  tree.put(STATE, DOMSTATUS);
  tree.put('run/libvirt/qemu/second.xml', DOMSTATUS.replace("pid='4242'", "pid='77'"));
  tree.put('run/libvirt/qemu/debian-12.pid', '4242');
  const { domains, problems } = new LibvirtDomains().refresh(tree.host);
  assert.deepEqual([...domains.keys()], [4242, 77]);
  const domain = domains.get(4242);
  assert.deepEqual([domain?.name, domain?.state, pinsOf(domain)], ['debian-12', 'running', LIVE]);
  assert.deepEqual(domain?.vcpus, [
    { id: 0, tid: 4251 },
    { id: 2, tid: 4253 },
  ]);
  assert.deepEqual(problems, []);
});

test('without libvirt there are no domains, and this is no problem', (context) => {
  const { domains, problems } = new LibvirtDomains().refresh(hostTree(context).host);
  assert.deepEqual([domains.size, problems], [0, []]);
});

test('a folder that cannot be listed is a problem', (context) => {
  const { host } = hostTree(context);
  const broken = { ...host, entries: () => { throw Object.assign(new Error('EIO'), { code: 'EIO' }); } }; // biome-ignore format: short
  const { domains, problems } = new LibvirtDomains().refresh(broken);
  assert.equal(domains.size, 0);
  assert.deepEqual(
    problems.map(({ kind, path }) => [kind, path]),
    [['failed', host.roots.libvirt]],
  );
});

test('pins of the running domain override those of its definition, thread by thread', (context) => {
  const tree = libvirtTree(context);
  tree.put(STATE, DOMSTATUS.replace(/<vcpupin vcpu='2'.*|<emulatorpin.*/g, ''));
  tree.put(
    DEFINITION,
    definition(
      "<vcpupin vcpu='0' cpuset='7'/><vcpupin vcpu='2' cpuset='8'/><emulatorpin cpuset='6'/><iothreadpin iothread='1' cpuset='7'/><iothreadpin iothread='4' cpuset='9'/>",
    ),
  );
  const { domains } = new LibvirtDomains().refresh(tree.host);
  assert.deepEqual(pinsOf(domains.get(4242)), [{ 0: [1], 2: [8] }, { 1: [5], 4: [9] }, [6]]);
});

test('a file is read again only after it changed, and the definition counts', (context) => {
  const tree = libvirtTree(context);
  tree.put(STATE, DOMSTATUS);
  const domains = new LibvirtDomains();
  const first = domains.refresh(tree.host).domains.get(4242);
  assert.equal(domains.refresh(tree.host).domains.get(4242), first);
  tree.put(DEFINITION, definition("<iothreadpin iothread='4' cpuset='9'/>"));
  const second = domains.refresh(tree.host).domains.get(4242);
  assert.deepEqual(pinsOf(second), [LIVE[0], { 1: [5], 4: [9] }, [0]]);
  assert.equal(domains.refresh(tree.host).domains.get(4242), second);
  tree.put(DEFINITION, definition(''));
  assert.deepEqual(pinsOf(domains.refresh(tree.host).domains.get(4242)), LIVE);
  tree.put(STATE, DOMSTATUS.replace("state='running'", "state='paused'"));
  assert.equal(domains.refresh(tree.host).domains.get(4242)?.state, 'paused');
});

test('a domain that ends is gone, and one of that name that starts again is read again', (context) => {
  const tree = libvirtTree(context);
  tree.put(STATE, DOMSTATUS);
  const domains = new LibvirtDomains();
  assert.equal(domains.refresh(tree.host).domains.size, 1);
  tree.remove(STATE);
  assert.equal(domains.refresh(tree.host).domains.size, 0);
  tree.put(STATE, DOMSTATUS.replace("pid='4242'", "pid='4300'"));
  assert.deepEqual([...domains.refresh(tree.host).domains.keys()], [4300]);
});

test('a malformed definition is reported in each pass, and affects only its own pins', (context) => {
  const tree = libvirtTree(context);
  tree.put(STATE, DOMSTATUS);
  tree.put(DEFINITION, '<domain');
  const domains = new LibvirtDomains();
  for (let pass = 0; pass < 2; pass++) {
    const { domains: found, problems } = domains.refresh(tree.host);
    assert.deepEqual(pinsOf(found.get(4242)), LIVE);
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ['malformed'],
    );
  }
  tree.put(DEFINITION, definition(''));
  assert.deepEqual(domains.refresh(tree.host).problems, []);
});

test('a malformed state file is reported, and affects no other domain', (context) => {
  const tree = libvirtTree(context);
  tree.put('run/libvirt/qemu/a-broken.xml', '<domstatus');
  tree.put(STATE, DOMSTATUS);
  const { domains, problems } = new LibvirtDomains().refresh(tree.host);
  assert.deepEqual([...domains.keys()], [4242]);
  assert.deepEqual(
    problems.map(({ kind }) => kind),
    ['malformed'],
  );
});

test('a domain that ends while it is read is no problem', (context) => {
  const tree = libvirtTree(context);
  tree.put(STATE, DOMSTATUS);
  const host = { ...tree.host, entries: () => ['gone.xml', 'debian-12.xml'] };
  const { domains, problems } = new LibvirtDomains().refresh(host);
  assert.deepEqual([[...domains.keys()], problems], [[4242], []]);
});
