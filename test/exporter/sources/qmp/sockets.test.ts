import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { Vm } from '../../../../exporter/model/vm.ts';
import { locateSockets } from '../../../../exporter/sources/qmp/sockets.ts';
import type { SourceError } from '../../../../probes/errors.ts';
import { inventoryVm } from '../../../../testing/inventory-vm.ts';
import { SOCKETS, type SocketHost, socketHost } from '../../../../testing/qmp-sockets.ts';
import { has } from '../../../../testing/tools.ts';

const NOBODY = 65534;
const WEB = `${SOCKETS}/web.sock`;

function locate(host: SocketHost, ...vms: Vm[]): { found: Record<string, string>; problems: SourceError[] } {
  const problems: SourceError[] = [];
  const found = locateSockets(host.host, vms, host.rules, (problem) => problems.push(problem));
  return { found: Object.fromEntries(found), problems };
}

/** A VM whose socket is in the expected directory. */
function good(context: TestContext): SocketHost {
  const host = socketHost(context);
  host.write(WEB, '');
  host.listening([WEB, 500]);
  host.holds(10, [500]);
  return host;
}

function isRoot(context: TestContext): boolean {
  return has(context, process.geteuid?.() === 0, 'the directory must be root’s: run the tests as root');
}

test('a socket in the directory is used if the VM itself holds it', (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  assert.deepEqual(locate(host, inventoryVm(10), inventoryVm(20)), {
    found: { '10:1000': host.real(WEB) },
    problems: [],
  });
});

test('a socket whose name is not ASCII is used', (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  const path = `${SOCKETS}/müller.sock`;
  writeFileSync(host.real(path), '');
  host.listening([path, 500]);
  assert.deepEqual(locate(host, inventoryVm(10)).found, { '10:1000': host.real(path) });
});

const UNTRUSTED: Readonly<Record<string, (host: SocketHost) => void>> = {
  'is another user’s': (host) => chownSync(host.real(SOCKETS), NOBODY, NOBODY),
  'is writable by its group': (host) => chmodSync(host.real(SOCKETS), 0o775),
  'is writable by all': (host) => chmodSync(host.real(SOCKETS), 0o757),
  'is writable by all though sticky': (host) => chmodSync(host.real(SOCKETS), 0o1777),
  'is in a directory of another user’s': (host) => chownSync(host.real('/run/kvm-telemetry'), NOBODY, NOBODY),
  'is in a directory where all may rename': (host) => chmodSync(host.real('/run/kvm-telemetry'), 0o777),
  'is a symbolic link': (host) => {
    rmSync(host.real(SOCKETS), { recursive: true });
    mkdirSync(host.real('/run/elsewhere'));
    writeFileSync(host.real('/run/elsewhere/web.sock'), '');
    symlinkSync('../elsewhere', host.real(SOCKETS));
  },
};

for (const [what, spoil] of Object.entries(UNTRUSTED)) {
  test(`no socket is used if the directory ${what}, and this is reported`, (context) => {
    if (!isRoot(context)) return;
    const host = good(context);
    spoil(host);
    // Neither by the pattern nor because the command line names it.
    const { found, problems } = locate(host, inventoryVm(10, { monitors: [WEB] }));
    assert.deepEqual(found, {});
    assert.ok(problems.length > 0 && problems.every(({ kind }) => kind === 'denied'));
    assert.match(problems[0]?.reason ?? '', /that root owns and only root can write to/);
  });
}

test('a sticky parent directory (such as /tmp) is accepted', (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  chmodSync(host.real('/run'), 0o1777);
  assert.equal(Object.keys(locate(host, inventoryVm(10)).found).length, 1);
});

test('a missing directory is normal and not reported', (context) => {
  const host = good(context);
  rmSync(host.real(SOCKETS), { recursive: true });
  assert.deepEqual(locate(host, inventoryVm(10)), { found: {}, problems: [] });
});

test('a file in place of the directory affects only the sockets', (context) => {
  const host = good(context);
  rmSync(host.real(SOCKETS), { recursive: true });
  writeFileSync(host.real(SOCKETS), '', { mode: 0o644 });
  assert.deepEqual(locate(host, inventoryVm(10)).found, {});
});

const NOT_ITS_OWN: Readonly<Record<string, (host: SocketHost) => void>> = {
  'that another process holds': (host) => host.listening([WEB, 999]),
  'that nobody listens on any more': (host) => host.listening(),
  'whose name does not fit the pattern': (host) => host.listening([`${SOCKETS}/web.socket`, 500]),
  'in a directory below': (host) => host.listening([`${SOCKETS}/x/web.sock`, 500]),
  'that lies elsewhere': (host) => host.listening(['/tmp/web.sock', 500]),
};

for (const [what, arrange] of Object.entries(NOT_ITS_OWN)) {
  test(`a socket ${what} is not taken`, (context) => {
    const host = good(context);
    host.write(`${SOCKETS}/web.socket`, '');
    host.write(`${SOCKETS}/x/web.sock`, '');
    arrange(host);
    assert.deepEqual(locate(host, inventoryVm(10)).found, {});
  });
}

for (const path of [
  '/tmp/q.sock',
  `${SOCKETS}/../q.sock`,
  `${SOCKETS}/..`,
  `${SOCKETS}/.`,
  `${SOCKETS}//../../../tmp/q.sock`,
  'q.sock',
  '',
  '/srv/qmp/x/q.sock',
]) {
  test(`the command line cannot lead to ${path === '' ? 'nothing' : path}`, (context) => {
    const host = socketHost(context);
    host.listening([path, 500], ['/tmp/q.sock', 500], ['/run/kvm-telemetry/q.sock', 500]);
    host.holds(10, [500]);
    assert.deepEqual(locate(host, inventoryVm(10, { monitors: [path] })).found, {});
  });
}

test('the command line leads to a socket in an allowed directory, whatever its name', (context) => {
  if (!isRoot(context)) return;
  const host = socketHost(context);
  mkdirSync(host.real('/srv/qmp'), { recursive: true });
  host.listening(['/srv/qmp/monitor', 500]);
  host.holds(10, [500]);
  const claims = { monitors: ['/srv/qmp/monitor'] };
  assert.deepEqual(locate(host, inventoryVm(10, claims)).found, { '10:1000': host.real('/srv/qmp/monitor') });
  assert.deepEqual(locate(host, inventoryVm(20, claims)).found, {}, 'but not to that of another VM');
});

test("of two VMs that claim one path, the one in the host's mount namespace gets it", (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  host.listening([WEB, 500], [WEB, 600]);
  host.holds(20, [600], 'mnt:[2]');
  for (const vms of [
    [inventoryVm(10), inventoryVm(20)],
    [inventoryVm(20), inventoryVm(10)],
  ])
    assert.deepEqual(locate(host, ...vms).found, { '10:1000': host.real(WEB) });
});

test("if two VMs in the host's mount namespace claim one path, neither gets it, and both are named", (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  host.listening([WEB, 500], [WEB, 600]);
  host.holds(20, [600]);
  const { found, problems } = locate(host, inventoryVm(10), inventoryVm(20));
  assert.deepEqual(found, {});
  assert.match(problems[0]?.message ?? '', /web\.sock: 2 VMs claim this socket: vm10, vm20/);
});

test('a container that binds the path of a socket of no VM does not get that socket', (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  host.listening([WEB, 999], [WEB, 600]);
  host.holds(20, [600], 'mnt:[2]');
  assert.deepEqual(locate(host, inventoryVm(20)).found, {});
});

test('a VM of libvirt, in its own mount namespace, gets a path that nobody else claims', (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  host.holds(10, [500], 'mnt:[2]');
  assert.deepEqual(locate(host, inventoryVm(10)).found, { '10:1000': host.real(WEB) });
});

test('without the list of sockets no socket is used', (context) => {
  if (!isRoot(context)) return;
  const host = good(context);
  host.remove('proc/1/net');
  assert.deepEqual(locate(host, inventoryVm(10)).found, {});
});
