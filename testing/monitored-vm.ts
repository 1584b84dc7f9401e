import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { resolveConfig } from '../exporter/config/load.ts';
import { createOwnMetrics } from '../exporter/daemon/own-metrics.ts';
import { Telemetry } from '../exporter/daemon/telemetry.ts';
import { exposition } from '../exporter/http/exposition.ts';
import type { QmpServer, Replies } from '../lab/simhost/qmp/server.ts';
import { hostTree } from './host-tree.ts';
import { parseSamples, type Samples } from './metrics.ts';
import { qmpServer } from './qmp-server.ts';

const SOCKET = '/run/kvm-telemetry/qmp/web.sock';
const CPU = (index: number): string => `/machine/unattached/device[${index}]`;

type Statistics = Readonly<Record<string, unknown>>;

function statsOf(values: Statistics): object[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** A QEMU with two vCPUs that have these statistics each, listed the other way round. */
export function qemu(vcpu: Statistics, vm: Statistics = {}, more: Replies = {}): Replies {
  const types: Readonly<Record<string, string>> = {
    max_mmu_rmap_size: 'peak',
    halt_wait_hist: 'log2-histogram',
    pages_4k: 'instant',
  };
  const schema = (target: string, values: Statistics): object => ({
    provider: 'kvm',
    target,
    stats: Object.keys(values).map((name) => ({ name, type: types[name] ?? 'cumulative' })),
  });
  return {
    'query-uuid': { UUID: '00000000-0000-0000-0000-000000000000' },
    'query-version': { qemu: { major: 9, minor: 2, micro: 0 }, package: '' },
    'query-status': { status: 'running' },
    'query-cpus-fast': [0, 1].map((i) => ({ 'cpu-index': i, 'qom-path': CPU(i), 'thread-id': 11 + i })),
    'query-iothreads': [],
    'query-block': [],
    'query-blockstats': [],
    'query-stats-schemas': [schema('vcpu', vcpu), schema('vm', vm)],
    'query-stats': ({ target }: { target: string }) =>
      target === 'vm'
        ? [{ provider: 'kvm', stats: statsOf(vm) }]
        : [1, 0].map((i) => ({ provider: 'kvm', 'qom-path': CPU(i), stats: statsOf(vcpu) })),
    ...more,
  };
}

export interface MonitoredVm {
  readonly server: QmpServer;
  write(statistic: string, value: number): void;
  writeRows(rows: Buffer): void;
  scrape(): Promise<{ samples: Samples; text: string }>;
}

/**
 * One VM with a monitor and with counters in debugfs.
 * @param rows what the BPF iterator gives; nothing by default
 */
export async function startMonitored(
  context: TestContext,
  replies: Replies,
  flags: Record<string, unknown> = {},
  rows?: Buffer,
): Promise<MonitoredVm> {
  const tree = hostTree(context);
  tree.process({
    pid: 10,
    comm: 'qemu-system-x86',
    argv: ['qemu-system-x86_64', '-name', 'guest=web'],
    fds: { 9: 'anon_inode:kvm-vm', 12: 'socket:[500]' },
    threads: [
      { tid: 11, comm: 'CPU 0/KVM' },
      { tid: 12, comm: 'CPU 1/KVM' },
    ],
  });
  mkdirSync(join(tree.folder, 'run/kvm-telemetry/qmp'), { recursive: true });
  for (const path of ['', 'run', 'run/kvm-telemetry', 'run/kvm-telemetry/qmp'])
    chmodSync(join(tree.folder, path), 0o755);
  tree.write('proc/1/net/unix', `Num\n0000000000000000: 00000002 00000000 00010000 0001 01 500 ${SOCKET}\n`);
  const write = (statistic: string, value: number): void =>
    tree.write(`sys/kernel/debug/kvm/10-9/${statistic}`, `${value}\n`);
  write('exits', 1000);
  write('hypercalls', 70);
  const writeRows = (bytes: Buffer): void => {
    mkdirSync(join(tree.folder, 'bpf'), { recursive: true });
    writeFileSync(join(tree.folder, 'bpf/kvm'), bytes);
  };
  if (rows !== undefined) writeRows(rows);
  const server = await qmpServer(context, join(tree.folder, SOCKET), replies);
  const own = createOwnMetrics();
  const config = resolveConfig({ 'path.rootfs': tree.folder, 'qmp.timeoutSeconds': '0.3', ...flags }, {}, {});
  const logger = pino({ level: 'silent' });
  const build = { version: '0', revision: '', simulated: false };
  const telemetry = new Telemetry(config, { logger, own, build, learns: true });
  context.after(() => telemetry.stop());
  await telemetry.work.discover();
  return {
    server,
    write,
    writeRows,
    async scrape() {
      const { families } = await telemetry.scrape(5000);
      let text = '';
      for await (const chunk of exposition(
        families,
        own.registry,
        'text/plain; version=0.0.4; charset=utf-8',
      ))
        text += chunk;
      const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
      const names = lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
      assert.deepEqual(
        names.filter((name, i) => names.indexOf(name) !== i),
        [],
        'no series twice',
      );
      const types = text.match(/^# TYPE \S+/gm) ?? [];
      assert.equal(new Set(types).size, types.length, 'no family twice');
      return { samples: parseSamples(text), text };
    },
  };
}
