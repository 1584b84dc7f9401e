import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { NSEC_PER_TICK } from '../../../kernel/units.ts';
import { type Task, writeTask } from '../../../lab/simhost/files/task.ts';
import { vcpuRow, vmRow } from '../../../testing/bpf-rows.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { type Samples, sample, series } from '../../../testing/metrics.ts';
import { assertNoneFalls } from '../../../testing/never-falls.ts';
import { threadRow } from '../../../testing/thread-rows.ts';

const ROWS = 'bpf/threads';
const PID = 10;

interface Moment {
  /** Ticks that the kernel has counted, before it scales them. */
  readonly user: number;
  readonly system: number;
  /** How many of these ticks were in the guest. */
  readonly guest: number;
  readonly runNs: number;
}

const THREADS = [
  { tid: 10, comm: 'qemu-kvm' },
  { tid: 11, comm: 'CPU 0/KVM' },
  { tid: 12, comm: 'worker' },
];

/** A host with the VM `web`, and its threads both in /proc and in rows. */
function hostWithRows(context: TestContext): HostTree {
  const tree = hostTree(context);
  tree.write('sys/devices/system/cpu/possible', '0-1\n');
  tree.process({
    pid: PID,
    comm: 'qemu-kvm',
    executable: '/usr/bin/qemu-kvm',
    argv: ['qemu-kvm', '-name', 'guest=web'],
    fds: { 5: 'anon_inode:kvm-vm' },
    threads: THREADS.slice(1),
  });
  return tree;
}

function rowsOf({ user, system, guest, runNs }: Moment, allowed = [0, 1]): Buffer {
  return Buffer.concat(
    THREADS.map(({ tid, comm }) =>
      threadRow({
        pid: PID,
        tid,
        comm,
        start: 1000,
        cpu: 1,
        migrations: 4,
        switches: [7, 2],
        allowed,
        times: {
          run: runNs,
          utime: user * NSEC_PER_TICK,
          stime: system * NSEC_PER_TICK,
          gtime: guest * NSEC_PER_TICK,
        },
        previous: { utime: 0, stime: 0 },
        schedInfo: { wait: 2_000_000, timeslices: 30 },
      }),
    ),
  );
}

/** /proc scales the ticks of the same thread to its precise time. */
function writeProc(tree: HostTree, { user, system, guest, runNs }: Moment): void {
  const files = { put: tree.write, link: tree.link, directory: () => undefined };
  const scale = runNs / NSEC_PER_TICK / Math.max(1, user + system);
  for (const { tid, comm } of THREADS) {
    const task: Task = {
      pid: PID,
      tid,
      comm,
      state: 'S',
      flags: 0,
      threads: THREADS.length,
      startTicks: 1000,
      user: Math.floor((user - guest) * scale),
      system: Math.floor(system * scale),
      guest,
      runNs,
      waitNs: 2_000_000,
      slices: 30,
      voluntary: 7,
      involuntary: 2,
      migrations: 4,
      cpu: 0,
      node: 0,
      allowed: [0, 1],
      cpus: 2,
      nodes: 1,
    };
    writeTask(files, `proc/${PID}/task/${tid}`, task);
  }
}

const collectorOk = (samples: Samples, collector: string): number =>
  sample(samples, 'kvm_telemetry_collector_success', { collector });
const cpuOf = (samples: Samples): number =>
  sample(samples, 'kvm_thread_cpu', { vm: 'web', thread: 'vcpu0', role: 'vcpu' });

test('rows that cannot be read are a failure of bpf, and /proc gives the threads in the same scrape', async (context) => {
  const tree = hostWithRows(context);
  const moment = { user: 60, system: 20, guest: 50, runNs: 800_000_000 };
  writeProc(tree, moment);
  tree.write(ROWS, rowsOf(moment));
  const exporter = await exporterOf(context, tree, { 'trace.backend': 'off' });
  const first = await exporter.scrape();
  assert.deepEqual([cpuOf(first), collectorOk(first, 'bpf')], [1, 1], 'from rows');
  tree.write(ROWS, rowsOf(moment).subarray(0, 170));
  const second = await exporter.scrape();
  assert.deepEqual([cpuOf(second), collectorOk(second, 'bpf'), collectorOk(second, 'threads')], [0, 0, 1]);
  assertNoneFalls(first, second, 'BPF is lost');
  tree.write(ROWS, rowsOf(moment));
  const third = await exporter.scrape();
  assert.deepEqual([cpuOf(third), collectorOk(third, 'bpf')], [1, 1]);
  assertNoneFalls(second, third, 'BPF is back');
});

test('threads with a core-scheduling cookie are counted from rows, and unknown from /proc', async (context) => {
  const tree = hostWithRows(context);
  const moment = { user: 60, system: 20, guest: 50, runNs: 800_000_000 };
  writeProc(tree, moment);
  const METRIC = 'kvm_vm_core_scheduled_threads';
  const write = (hasCoreCookie?: boolean): void =>
    tree.write(
      ROWS,
      Buffer.concat(
        THREADS.map(({ tid, comm }) => threadRow({ pid: PID, tid, comm, start: 1000, hasCoreCookie })),
      ),
    );
  write();
  const exporter = await exporterOf(context, tree, { 'trace.backend': 'off' });
  const seen = async (): Promise<number[]> => {
    const samples = await exporter.scrape();
    return series(samples, METRIC, { vm: 'web', role: 'vcpu' }).map((key) => samples.get(key) ?? -1);
  };
  assert.deepEqual(await seen(), []);
  write(true);
  assert.deepEqual(await seen(), [1]);
  write(false);
  assert.deepEqual(await seen(), [0]);
  rmSync(join(tree.folder, ROWS));
  assert.deepEqual(await seen(), []);
});

test('a process that is missing in the rows, or whose pid was reused there, is read from /proc', async (context) => {
  const tree = hostWithRows(context);
  const moment = { user: 60, system: 20, guest: 50, runNs: 800_000_000 };
  writeProc(tree, moment);
  for (const rows of [threadRow({ pid: 99, tid: 99 }), threadRow({ pid: PID, tid: PID, start: 999 })]) {
    tree.write(ROWS, rows);
    const exporter = await exporterOf(context, tree, { 'trace.backend': 'off' });
    assert.equal(cpuOf(await exporter.scrape()), 0);
  }
});

test('a thread that runs a vCPU has that role in the first scrape, whatever its name', async (context) => {
  const tree = hostWithRows(context);
  const row = vcpuRow({ pid: PID, id: 2, tid: 12, statistics: { exits: 9 } });
  tree.write('bpf/kvm', Buffer.concat([vmRow(PID), row]));
  const exporter = await exporterOf(context, tree, { 'trace.backend': 'off' });
  const samples = await exporter.scrape();
  const vcpu2 = { vm: 'web', thread: 'vcpu2', role: 'vcpu' };
  assert.equal(series(samples, 'kvm_thread_cpu', vcpu2).length, 1, 'its name is `worker`');
  assert.equal(sample(samples, 'kvm_vcpu_exits_total', { vm: 'web', vcpu: '2' }), 9);
  assert.equal(series(samples, 'kvm_thread_cpu', { vm: 'web', role: 'vcpu' }).length, 2);
});

test('with --bpf=off rows are not read', async (context) => {
  const tree = hostWithRows(context);
  tree.write(ROWS, 'damaged');
  const exporter = await exporterOf(context, tree, { 'trace.backend': 'off', bpf: 'off' });
  const samples = await exporter.scrape();
  assert.equal(cpuOf(samples), 0);
  assert.deepEqual(series(samples, 'kvm_telemetry_collector_success', { collector: 'bpf' }), []);
});

test('no counter falls when the source changes, whatever the kernel has counted', async (context) => {
  const step = fc.record({
    user: fc.nat(50),
    system: fc.nat(50),
    guestShare: fc.double({ min: 0, max: 1, noNaN: true }),
    run: fc.nat(1_000_000_000),
    isBpf: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async (steps) => {
      const tree = hostWithRows(context);
      let moment: Moment = { user: 1, system: 1, guest: 0, runNs: 20_000_000 };
      writeProc(tree, moment);
      tree.write(ROWS, rowsOf(moment));
      const exporter = await exporterOf(context, tree, { 'trace.backend': 'off' });
      let before = await exporter.scrape();
      for (const { user, system, guestShare, run, isBpf } of steps) {
        moment = {
          user: moment.user + user,
          system: moment.system + system,
          guest: moment.guest + Math.floor(user * guestShare),
          runNs: moment.runNs + run,
        };
        writeProc(tree, moment);
        tree.write(ROWS, isBpf ? rowsOf(moment) : 'damaged');
        const now = await exporter.scrape();
        assertNoneFalls(before, now, isBpf ? 'to BPF' : 'to /proc');
        before = now;
      }
    }),
    { numRuns: 15 },
  );
});

test('the scrape requests the threads of VMs, and their vhost workers that are kernel threads', async (context) => {
  const tree = hostWithRows(context);
  tree.process({ pid: 20, comm: `vhost-${PID}`, flags: 0x0020_0000 });
  const moment = { user: 60, system: 20, guest: 50, runNs: 800_000_000 };
  writeProc(tree, moment);
  const worker = threadRow({ pid: 20, tid: 20, comm: `vhost-${PID}`, start: 1000, cpu: 1, allowed: [1] });
  tree.write(ROWS, Buffer.concat([rowsOf(moment), worker]));
  const exporter = await exporterOf(context, tree, { 'trace.backend': 'off' });
  const vhost = { vm: 'web', thread: 'vhost0', role: 'vhost' };
  const samples = await exporter.scrape();
  assert.equal(sample(samples, 'kvm_thread_cpu', vhost), 1);
  assert.equal(sample(samples, 'kvm_thread_allowed_cpus', vhost), 1);
});
