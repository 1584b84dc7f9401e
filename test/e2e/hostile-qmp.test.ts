import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  flood,
  floods,
  HALF_A_REPLY,
  IGNORES_COMMANDS,
  late,
  NO_GREETING,
  replies,
} from '../../lab/simhost/qmp/faults.ts';
import type { QmpFault, QmpServer, Replies } from '../../lab/simhost/qmp/server.ts';
import { capturedReplies } from '../../testing/captured-monitor.ts';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { KVM_VM, qemuProcess } from '../../testing/qemu-process.ts';
import { qmpServer } from '../../testing/qmp-server.ts';
import { SOCKETS, type SocketHost, socketHost } from '../../testing/qmp-sockets.ts';
import { has } from '../../testing/tools.ts';

const VMS = 100;
const REPLIES = {
  ...capturedReplies('linux-nvme-vhost', 't1', 'vm-a'),
  'query-uuid': { UUID: '00000000-0000-0000-0000-000000000000' },
};

/** Every tenth VM has one of these monitors, in turn. */
const HOSTILE: Readonly<Record<string, { readonly replies?: Replies; readonly fault?: QmpFault }>> = {
  'sends no greeting': { fault: NO_GREETING },
  'streams garbage': { fault: { onConnect: (client) => void flood(client, 'garbage '.repeat(8192)) } },
  'hangs after the greeting': { fault: IGNORES_COMMANDS },
  'closes in the middle of a reply': { fault: HALF_A_REPLY },
  'floods with events': { fault: floods('{"event": "STOP"}\n'.repeat(1000)) },
  'sends an error that is null': { fault: replies((id) => `{"error": null, "id": ${id}}`) },
  'nests a million deep': {
    fault: replies((id) => `{"return": ${'['.repeat(1e6)}${']'.repeat(1e6)}, "id": ${id}}`),
  },
  'replies late': { fault: late(900) },
  'belongs to another VM': { replies: { 'query-uuid': { UUID: '1' } } },
  'sends wrong types': { replies: { 'query-stats': { exits: 'many' } } },
};

function isHostile(index: number): boolean {
  return index % 10 === 0;
}

/** Creates the VMs: processes in a tree of files, monitors in this process. @returns the hostile monitors */
async function populate(context: TestContext, host: SocketHost): Promise<QmpServer[]> {
  const kinds = Object.values(HOSTILE);
  const sockets: [path: string, inode: number][] = [];
  const hostile: QmpServer[] = [];
  for (let index = 0; index < VMS; index++) {
    const path = `${SOCKETS}/vm-${index}.sock`;
    sockets.push([path, pidOf(index)]);
    const bad = isHostile(index) ? kinds[(index / 10) % kinds.length] : undefined;
    const server = await qmpServer(context, host.real(path), { ...REPLIES, ...bad?.replies }, bad?.fault);
    if (bad !== undefined) hostile.push(server);
  }
  host.listening(...sockets);
  for (let index = 0; index < VMS; index++) {
    const pid = pidOf(index);
    const fds = { 9: KVM_VM, 12: `socket:[${pid}]` };
    host.process(qemuProcess(pid, `vm-${index}`, { fds, threads: [{ tid: pid + 1, comm: 'CPU 0/KVM' }] }));
  }
  return hostile;
}

function pidOf(index: number): number {
  return 1000 + index * 10;
}

/** Limits for a busy machine. */
const SCRAPE_S = 30;
const MONITOR_S = 5;
const FIRST_BACKOFF_S = 5;

async function scrape(daemon: Daemon): Promise<Samples> {
  const start = performance.now();
  const response = await daemon.get('/metrics', { 'X-Prometheus-Scrape-Timeout-Seconds': String(SCRAPE_S) });
  assert.equal(response.status, 200);
  const samples = parseSamples(await response.text());
  const ms = performance.now() - start;
  assert.ok(ms < SCRAPE_S * 1000, `${ms} ms`);
  for (let index = 0; index < VMS; index++) assertThreads(samples, `vm-${index}`);
  return samples;
}

function assertThreads(samples: Samples, vm: string): void {
  assert.equal(series(samples, 'kvm_thread_run_seconds_total', { vm, thread: 'vcpu0' }).length, 1, vm);
}

/** VMs whose monitor replies. */
function up(samples: Samples): string[] {
  const all = Array.from({ length: VMS }, (_, index) => `vm-${index}`);
  return all.filter((vm) => sample(samples, 'kvm_vm_source_up', { vm, source: 'qmp' }) === 1);
}

function problems(daemon: Daemon): string[] {
  return daemon.log
    .filter((entry) => entry['collector'] === 'qmp')
    .map((entry) => `${entry['kind']} ${entry['reason']}`);
}

test('ten hostile monitors among a hundred cost only their own statistics', async (context) => {
  const isRoot = process.geteuid?.() === 0;
  if (!has(context, isRoot, 'root must own the folder of the sockets: run the tests as root')) return;
  const host = socketHost(context);
  // The VMs come after the daemon, so that the scrape itself finds them.
  const daemon = await startDaemon(context, [
    `--path.rootfs=${host.folder}`,
    '--inventory.schedule=0 0 0 1 1 *',
    `--qmp.timeout-seconds=${MONITOR_S}`,
  ]);
  const start = performance.now();
  const hostile = await populate(context, host);

  let samples = await scrape(daemon);
  await until(async () => {
    samples = await scrape(daemon);
    return up(samples).length === VMS - hostile.length;
  }, 'the other ninety monitors reply');
  samples = await scrape(daemon);
  const replying = up(samples);
  for (let index = 0; index < VMS; index++) {
    const vm = `vm-${index}`;
    assert.equal(replying.includes(vm), !isHostile(index), vm);
    assert.equal(series(samples, 'kvm_vcpu_exits_total', { vm }).length, isHostile(index) ? 0 : 2, vm);
  }
  // Back-off: 5 s, 10 s, 20 s.
  const backoffs = Math.log2(1 + (performance.now() - start) / 1000 / FIRST_BACKOFF_S);
  for (const { connections } of hostile)
    assert.ok(connections >= 1 && connections <= 1 + backoffs, `${connections} connections`);
  const reported = problems(daemon);
  assert.ok(reported.length >= 5, `each kind is reported: ${reported.join('\n')}`);
  assert.equal(
    new Set(reported).size,
    reported.length,
    `each problem is reported once: ${reported.join('\n')}`,
  );
  const memory = sample(samples, 'process_resident_memory_bytes');
  assert.ok(memory < 400e6, `${memory} bytes`);
  assert.equal(await daemon.stop(), 0);
});
