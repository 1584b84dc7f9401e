import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { QmpServer, Replies } from '../lab/simhost/qmp/server.ts';
import { exporterOf } from './in-process.ts';
import { parseSamples, type Samples } from './metrics.ts';
import { KVM_VM, qemuProcess } from './qemu-process.ts';
import { qmpServer } from './qmp-server.ts';
import { SOCKETS, socketHost } from './qmp-sockets.ts';

const CPU = (index: number): string => `/machine/unattached/device[${index}]`;

type Statistics = Readonly<Record<string, unknown>>;

function statsOf(values: Statistics): object[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** A QEMU with two vCPUs that have these statistics each, in reverse order. */
export function qemuReplies(vcpu: Statistics, vm: Statistics = {}, more: Replies = {}): Replies {
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

export interface VmWithMonitor {
  readonly server: QmpServer;
  write(statistic: string, value: number): void;
  writeRows(rows: Buffer): void;
  scrape(): Promise<{ samples: Samples; text: string }>;
}

/**
 * One VM with a monitor and with counters in debugfs.
 * @param rows the output of the BPF iterator; none by default
 */
export async function startVmWithMonitor(
  context: TestContext,
  replies: Replies,
  flags: Record<string, unknown> = {},
  rows?: Buffer,
): Promise<VmWithMonitor> {
  const host = socketHost(context);
  host.process(
    qemuProcess(10, 'web', {
      fds: { 9: KVM_VM, 12: 'socket:[500]' },
      threads: [
        { tid: 11, comm: 'CPU 0/KVM' },
        { tid: 12, comm: 'CPU 1/KVM' },
      ],
    }),
  );
  const path = `${SOCKETS}/web.sock`;
  host.listening([path, 500]);
  const write = (statistic: string, value: number): void =>
    host.write(`sys/kernel/debug/kvm/10-9/${statistic}`, `${value}\n`);
  write('exits', 1000);
  write('hypercalls', 70);
  const writeRows = (bytes: Buffer): void => {
    mkdirSync(host.real('bpf'), { recursive: true });
    writeFileSync(host.real('bpf/kvm'), bytes);
  };
  if (rows !== undefined) writeRows(rows);
  const server = await qmpServer(context, host.real(path), replies);
  const exporter = await exporterOf(context, host, flags);
  return {
    server,
    write,
    writeRows,
    async scrape() {
      const text = await exporter.text();
      const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
      const names = lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
      assert.equal(new Set(names).size, names.length, 'a series is listed twice');
      const types = text.match(/^# TYPE \S+/gm) ?? [];
      assert.equal(new Set(types).size, types.length, 'a family is listed twice');
      return { samples: parseSamples(text), text };
    },
  };
}
