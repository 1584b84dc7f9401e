import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { capturedReplies } from '../../testing/captured-host.ts';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { type HostTree, hostTree } from '../../testing/host-tree.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { listen, type Monitor, monitor } from '../../testing/qmp-server.ts';
import { has } from '../../testing/tools.ts';
import { negotiated } from '../probes/qmp-client.ts';

const VMS = 100;
const SOCKETS = 'run/kvm-telemetry/qmp';
const REPLIES = {
  ...capturedReplies('linux-nvme-vhost', 't1', 'vm-a'),
  'query-uuid': { UUID: '00000000-0000-0000-0000-000000000000' },
};

function flood(socket: Socket, chunk: string): void {
  const more = (): void => {
    while (!socket.destroyed) if (!socket.write(chunk)) return void socket.once('drain', more);
  };
  more();
}

type Misbehaviour = (context: TestContext, path: string) => Promise<Monitor>;

/** What every tenth VM does, in turn. */
const HOSTILE: Readonly<Record<string, Misbehaviour>> = {
  'accepts and says nothing': (context, path) => listen(context, path, [], () => undefined),
  'streams garbage': (context, path) =>
    listen(context, path, [], (socket) => flood(socket, 'garbage '.repeat(8192))),
  'hangs after the greeting': (context, path) => negotiated(context, path, () => undefined),
  'dies in the middle of a reply': (context, path) =>
    negotiated(context, path, (socket, { id }) => socket.end(`{"return": {"UUID": "1", "id": "${id}`)),
  'floods with events': (context, path) =>
    negotiated(context, path, (socket) => flood(socket, '{"event": "STOP"}\n'.repeat(1000))),
  'answers with an error that is none': (context, path) =>
    negotiated(context, path, (socket, { id }) => socket.write(`{"error": null, "id": "${id}"}\n`)),
  'nests a million deep': (context, path) =>
    negotiated(context, path, (socket, { id }) =>
      socket.write(`{"return": ${'['.repeat(1e6)}${']'.repeat(1e6)}, "id": "${id}"}\n`),
    ),
  'drips its answers': (context, path) =>
    negotiated(context, path, (socket, { id }) => {
      setTimeout(
        () => socket.write(`{"error": {"class": "GenericError", "desc": "later"}, "id": "${id}"}\n`),
        900,
      ).unref();
    }),
  'says it is another VM': (context, path) =>
    monitor(context, path, { ...REPLIES, 'query-uuid': { UUID: '1' } }),
  'answers with wrong types': (context, path) =>
    monitor(context, path, { ...REPLIES, 'query-stats': { exits: 'many' } }),
};

function isHostile(index: number): boolean {
  return index % 10 === 0;
}

/** Hosts the VMs: processes in a tree of files, monitors in this process. */
async function populate(context: TestContext, tree: HostTree): Promise<void> {
  const kinds = Object.values(HOSTILE);
  mkdirSync(join(tree.folder, SOCKETS), { recursive: true });
  for (const path of ['', 'run', 'run/kvm-telemetry', SOCKETS]) chmodSync(join(tree.folder, path), 0o755);
  const lines: string[] = [];
  for (let index = 0; index < VMS; index++) {
    const pid = 1000 + index * 10;
    const path = `${SOCKETS}/vm-${index}.sock`;
    lines.push(`0000000000000000: 00000002 00000000 00010000 0001 01 ${pid} /${path}\n`);
    const bad = isHostile(index) ? kinds[(index / 10) % kinds.length] : undefined;
    const real = join(tree.folder, path);
    await (bad === undefined ? monitor(context, real, REPLIES) : bad(context, real));
  }
  tree.write('proc/1/net/unix', `Num\n${lines.join('')}`);
  for (let index = 0; index < VMS; index++) {
    const pid = 1000 + index * 10;
    tree.process({
      pid,
      comm: 'qemu-system-x86',
      argv: ['qemu-system-x86_64', '-name', `guest=vm-${index}`],
      fds: { 9: 'anon_inode:kvm-vm', 12: `socket:[${pid}]` },
      threads: [{ tid: pid + 1, comm: 'CPU 0/KVM' }],
    });
  }
}

/** Generous, as the hundred monitors and the daemon share a small machine with other tests. */
const TIMEOUT_S = 20;
const MONITOR_S = 5;

async function scrape(daemon: Daemon): Promise<{ samples: Samples; ms: number }> {
  const start = performance.now();
  const response = await daemon.get('/metrics', { 'X-Prometheus-Scrape-Timeout-Seconds': String(TIMEOUT_S) });
  assert.equal(response.status, 200);
  return { samples: parseSamples(await response.text()), ms: performance.now() - start };
}

function assertComplete(samples: Samples): void {
  for (let index = 0; index < VMS; index++) {
    const vm = `vm-${index}`;
    assert.equal(sample(samples, 'kvm_vm_source_up', { vm, source: 'qmp' }), isHostile(index) ? 0 : 1, vm);
    assert.equal(series(samples, 'kvm_vcpu_exits_total', { vm }).length, isHostile(index) ? 0 : 2, vm);
    assert.equal(series(samples, 'kvm_thread_run_seconds_total', { vm, thread: 'vcpu0' }).length, 1, vm);
  }
}

function problems(daemon: Daemon): string[] {
  return daemon.log
    .filter((entry) => entry['collector'] === 'qmp')
    .map((entry) => `${entry['kind']} ${entry['reason']}`);
}

test('ten of a hundred monitors are hostile: each scrape is in time and shows the other ninety', async (context) => {
  if (
    !has(
      context,
      process.geteuid?.() === 0,
      'the directory of the sockets must be root’s: run the tests as root',
    )
  )
    return;
  const tree = hostTree(context);
  // The VMs come after the daemon, so that the scrape itself is the first to meet them.
  const daemon = await startDaemon(context, [
    `--path.rootfs=${tree.folder}`,
    '--inventory.schedule=0 0 0 1 1 *',
    `--qmp.timeout-seconds=${MONITOR_S}`,
  ]);
  await populate(context, tree);

  const first = await scrape(daemon);
  assert.ok(first.ms < TIMEOUT_S * 1000, `${first.ms} ms`);
  assertComplete(first.samples);
  assert.ok(problems(daemon).length >= 5, `each kind is said: ${problems(daemon).join('\n')}`);

  const second = await scrape(daemon);
  assert.ok(second.ms < MONITOR_S * 1000, `the bad ones are left alone: ${second.ms} ms`);
  assertComplete(second.samples);
  const third = await scrape(daemon);
  assertComplete(third.samples);
  // Ten kinds, some of which are a time-out first and themselves later; said in each scrape they would be thirty.
  assert.ok(problems(daemon).length <= 16, `nothing is said again: ${problems(daemon).join('\n')}`);
  const memory = sample(third.samples, 'process_resident_memory_bytes');
  assert.ok(memory < 400e6, `${memory} bytes`);
  assert.equal(await daemon.stop(), 0);
});
