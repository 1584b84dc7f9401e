import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { portOf } from '../../exporter/cli/listening-port.ts';
import type { LabHost, Output } from '../../lab/host.ts';
import { ROOT } from '../../testing/daemon.ts';
import { type Bench, canBoot, fetchCommand, Lab, PATIENT, scrape, startExporter } from '../../testing/lab.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { assertNoneFalls } from '../../testing/never-falls.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const VM = { vm: 'vm-a' };
/** The exporter as it is by default takes KVM's statistics from QMP, the other one from debugfs. */
const QMP_PORT = 9954;
const DEBUGFS_PORT = 9956;
const BPF_PORT = 9957;
const TIMEOUT_MS = 1_200_000;
/** One emulated CPU runs all exporters: those that only serve KVM's statistics do nothing between scrapes. */
const STATISTICS_ONLY = [
  '--no-collector.qmp',
  '--trace.backend=off',
  "--sampler.schedule='0 * * * * *'",
  "--inventory.schedule='0 * * * * *'",
];
const DOCTOR_MS = 240_000;

interface HostBench extends Bench {
  readonly pid: number;
  /** The VM's folder in debugfs. */
  readonly kvm: string;
  readonly doctor: Output;
}

test('a real KVM host', { timeout: TIMEOUT_MS }, async (context) => {
  if (!(await canBoot(context))) return;
  const lab = new Lab(context, makeReady, { forward: { [QMP_PORT]: 0 } });
  const check = (name: string, body: (bench: HostBench) => Promise<void>): Promise<void> =>
    context.test(name, () => lab.check(body));

  await check('doctor finds every source usable', async ({ doctor }) => {
    const { code, stdout, stderr } = doctor;
    assert.equal(code, 0, stdout + stderr);
    const { vms, lockdown, sources } = JSON.parse(stdout) as {
      vms: number;
      lockdown: string;
      sources: { source: string; usable: boolean; findings: unknown[] }[];
    };
    assert.deepEqual({ vms, lockdown }, { vms: 1, lockdown: 'none' });
    assert.ok(sources.length >= 12);
    assert.deepEqual(
      sources.filter(({ usable }) => !usable),
      [],
    );
    for (const source of ['qmp', 'kvm_debugfs', 'threads', 'block', 'interrupts']) {
      assert.ok(
        sources.some((each) => each.source === source),
        source,
      );
    }
  });

  await check('the VM is found, and its threads have their roles', async (bench) => {
    const { host, pid, kvm } = bench;
    const text = await fetch(`http://127.0.0.1:${portOf(host.pid)}/metrics`).then((response) =>
      response.text(),
    );
    const samples = parseSamples(text);
    assert.equal(sample(samples, 'kvm_vm_info', { ...VM, vmm: 'qemu', accel: 'kvm', pid: String(pid) }), 1);
    assert.equal(sample(samples, 'kvm_vm_vcpus', VM), 2);
    const tids = await host.output(
      // Since Linux 6.4 a worker of vhost is a thread of QEMU, before a kernel thread.
      `cat ${kvm}/vcpu0/pid ${kvm}/vcpu1/pid; grep -lx 'vhost-${pid}' /proc/[0-9]*/task/*/comm | cut -d/ -f5`,
    );
    const [vcpu0, vcpu1, vhost] = tids.trim().split('\n');
    const threads = {
      vcpu0: ['vcpu', vcpu0],
      vcpu1: ['vcpu', vcpu1],
      vhost0: ['vhost', vhost],
      'iothread:io0': ['iothread', await threadId(bench, 'IO io0')],
      emulator: ['emulator', String(pid)],
    };
    for (const [thread, [role = '', tid]] of Object.entries(threads)) {
      const read = `cut -d' ' -f1 /proc/${tid}/schedstat`;
      const [before, seen, after] = await between(host, read, QMP_PORT);
      const seconds = sample(seen, 'kvm_thread_run_seconds_total', { ...VM, thread, role });
      assertBetween(Number(before), seconds * 1e9, Number(after), thread);
    }
  });

  for (const [source, servedAt] of [
    ['debugfs', DEBUGFS_PORT],
    ['QMP', QMP_PORT],
    ['BPF', BPF_PORT],
  ] as const) {
    await check(
      `by ${source}, each of KVM's counters lies between the kernel's before and after`,
      async ({ host, kvm }) => {
        if (servedAt === BPF_PORT) await startExporter(host, MAIN, `127.0.0.1:${BPF_PORT}`, STATISTICS_ONLY);
        const [before, samples, after] = await between(host, statistics(kvm), servedAt);
        if (servedAt === BPF_PORT) await host.output(`pkill -f '[m]ain.js serve .*:${BPF_PORT}'`);
        const [least, most] = [numbers(before), numbers(after)];
        const counters = [...least.keys()].filter((name) => !/_hist$|^max_/.test(name));
        assert.ok(counters.length > 40, `${counters.length} counters`);
        for (const name of counters) {
          const isTime = name.endsWith('_ns');
          const metric = `kvm_vm_${isTime ? `${name.slice(0, -3)}_seconds` : name}_total`;
          const value = sample(samples, metric, VM) * (isTime ? 1e9 : 1);
          assertBetween(least.get(name), value, most.get(name), name);
        }
        assert.equal(sample(samples, 'kvm_vm_source_info', { ...VM, source: source.toLowerCase() }), 1);
        if (servedAt !== BPF_PORT) return;
        // The types of the module kvm are found: the emulated CPU has no AVIC.
        for (const vcpu of ['0', '1'])
          assert.equal(sample(samples, 'kvm_vcpu_apicv_active', { ...VM, vcpu }), 0);
        assert.equal(sample(samples, 'kvm_vm_apicv_inhibited', { ...VM, reason: 'disabled' }), 1);
        assert.ok(series(samples, 'kvm_virtqueue_info', VM).length >= 2, 'the queues of the disk');
      },
    );
  }

  await check('counters grow under I/O: exits, halts, interrupts, requests, time', async ({ host }) => {
    const first = await scrape(host, QMP_PORT);
    await sleep(3000);
    const second = await scrape(host, QMP_PORT);
    assert.ok(assertNoneFalls(first, second, 'QMP, 3 s later') > 100);
    const debugfs = await scrape(host, DEBUGFS_PORT);
    await sleep(1000);
    assert.ok(assertNoneFalls(debugfs, await scrape(host, DEBUGFS_PORT), 'debugfs, 1 s later') > 100);
    const grown = (name: string, labels: Record<string, string>): void => {
      const [before, after] = [sample(first, name, labels), sample(second, name, labels)];
      assert.ok(after > before, `${name} ${JSON.stringify(labels)}: ${before}, ${after}`);
    };
    for (const statistic of ['exits', 'halt_exits', 'irq_exits', 'irq_injections', 'halt_wait_seconds']) {
      grown(`kvm_vm_${statistic}_total`, VM);
    }
    for (const vcpu of ['0', '1']) grown('kvm_vcpu_exits_total', { ...VM, vcpu });
    for (const thread of ['vcpu0', 'vcpu1', 'iothread:io0']) {
      grown('kvm_thread_run_seconds_total', { ...VM, thread });
      grown('kvm_thread_wait_seconds_total', { ...VM, thread });
    }
    grown('kvm_thread_cpu_seconds_total', { ...VM, thread: 'vcpu0', mode: 'guest' });
    for (const operation of ['reads', 'writes']) {
      grown(`kvm_block_${operation}_completed_total`, { device: 'nvme0n1' });
      grown(`kvm_vm_disk_${operation}_completed_total`, { ...VM, disk: 'vda' });
    }
  });

  await check(
    'the disk is found, and its counters are those of the kernel: of its hidden path, or its own',
    async ({ host }) => {
      const own = await host.output('cat /sys/block/nvme0n1/stat');
      const { hasOwnCounters, why } = await multipathCounts(host);
      assert.equal(!/^\s*0\s+0\s+0\s/.test(own), hasOwnCounters, why);
      const counted = hasOwnCounters ? 'nvme0n1' : 'nvme0c0n1';
      // On a slow machine the first read of the VM's mounts may time out; the next pass repeats it.
      await appears(host, 'kvm_vm_block_device_info', VM);
      const [before, samples, after] = await between(host, `cat /sys/block/${counted}/stat`, QMP_PORT);
      const least = before.trim().split(/\s+/).map(Number);
      const most = after.trim().split(/\s+/).map(Number);
      const device = { device: 'nvme0n1' };
      // Documentation/block/stat.rst
      const fields: [name: string, field: number, unit: number][] = [
        ['reads_completed', 0, 1],
        ['read_bytes', 2, 512],
        ['read_time_seconds', 3, 1e-3],
        ['writes_completed', 4, 1],
        ['written_bytes', 6, 512],
        ['io_time_seconds', 9, 1e-3],
      ];
      for (const [name, field, unit] of fields) {
        const value = sample(samples, `kvm_block_${name}_total`, device) / unit;
        assertBetween(least[field], value, most[field], name);
      }
      assert.equal(sample(samples, 'kvm_vm_block_device_info', { ...VM, ...device, depth: '0' }), 1);
      assert.equal(
        sample(samples, 'kvm_block_info', { ...device, controller: 'nvme0', physical: 'true' }),
        1,
      );
    },
  );

  await check('hardware queues, and the NVMe interrupts with the CPUs they go to', async ({ host }) => {
    const read = "grep -E 'nvme0q[0-9]+$' /proc/interrupts";
    const [before, samples, after] = await between(host, read, QMP_PORT);
    const [least, most] = [interrupts(before), interrupts(after)];
    assert.deepEqual([...least.keys()], ['0', '1', '2']);
    for (const [queue, { irq, count }] of least) {
      const labels = { controller: 'nvme0', queue };
      const value = sample(samples, 'kvm_nvme_queue_interrupts_total', labels);
      assertBetween(count, value, most.get(queue)?.count, `queue ${queue}`);
      const cpus = (await host.output(`cat /proc/irq/${irq}/effective_affinity_list`)).trim();
      assert.equal(sample(samples, 'kvm_nvme_queue_affinity_info', { ...labels, cpus }), 1);
    }
    assert.equal(sample(samples, 'kvm_block_hardware_queues', { device: 'nvme0n1' }), 2);
    const lists = await host.output(
      'cat /sys/block/nvme0c0n1/mq/0/cpu_list /sys/block/nvme0c0n1/mq/1/cpu_list',
    );
    lists
      .trim()
      .split('\n')
      .forEach((cpus, i) => {
        const labels = { device: 'nvme0n1', queue: String(i), cpus: cpus.trim() };
        assert.equal(sample(samples, 'kvm_block_hardware_queue_info', labels), 1);
      });
  });

  await check('an IOThread pinned to the other NUMA node is seen there', async (bench) => {
    const { host } = bench;
    const tid = await threadId(bench, 'IO io0');
    const thread = { ...VM, thread: 'iothread:io0' };
    for (const [cpus, allowed, node] of [
      ['1', 1, 1],
      ['0', 1, 0],
      ['0,1', 2, undefined],
      ['1', 1, 1],
    ] as const) {
      await host.output(`taskset -pc ${cpus} ${tid}; sleep 1.5`);
      const samples = await scrape(host, QMP_PORT);
      assert.equal(sample(samples, 'kvm_thread_allowed_cpus', thread), allowed, `on ${cpus}`);
      if (node === undefined) continue;
      assert.equal(sample(samples, 'kvm_thread_cpu', thread), Number(cpus));
      assert.equal(sample(samples, 'kvm_thread_numa_node', thread), node);
      assert.equal(sample(samples, 'kvm_cpu_info', { cpu: cpus, node: String(node) }), 1);
    }
    const samples = await scrape(host, QMP_PORT);
    assert.ok(sample(samples, 'kvm_thread_migrations_total', thread) >= 2);
    assert.equal(series(samples, 'kvm_thread_cpu_residency_seconds_total', thread).length, 2);
    for (const other of ['vcpu0', 'vcpu1', 'vhost0', 'emulator']) {
      assert.equal(sample(samples, 'kvm_thread_numa_node', { ...VM, thread: other }), 1, other);
    }
  });

  await check("the vCPUs' exits by QMP sum up to debugfs' over the same interval", async ({ host }) => {
    // A stopped guest does not exit: both are read at the same state, however slow reading is.
    const both = async (): Promise<[number, number]> => {
      await host.monitor('vm-a', 'stop');
      const [byQmp, byDebugfs] = [await scrape(host, QMP_PORT), await scrape(host, DEBUGFS_PORT)];
      assert.equal(sample(byQmp, 'kvm_vm_state_info', { ...VM, state: 'paused' }), 1);
      await host.monitor('vm-a', 'cont');
      const exits = ['0', '1'].map((vcpu) => sample(byQmp, 'kvm_vcpu_exits_total', { ...VM, vcpu }));
      return [exits.reduce((sum, each) => sum + each, 0), sample(byDebugfs, 'kvm_vm_exits_total', VM)];
    };
    const first = await both();
    await sleep(5000);
    const second = await both();
    const [qmp, debugfs] = [second[0] - first[0], second[1] - first[1]];
    assert.ok(debugfs > 1000, `${debugfs} exits`);
    assert.ok(Math.abs(qmp / debugfs - 1) < 0.01, `${qmp} by QMP, ${debugfs} by debugfs`);
  });

  await check(
    "a quota of 20% by cgroup v2: throttled and stalled time grow as the kernel's",
    async (bench) => {
      const { host, pid } = bench;
      const folder = '/sys/fs/cgroup/vm-a';
      const group = { ...VM, group: 'vm' };
      const stall = { ...VM, resource: 'cpu', kind: 'some' };
      await host.output(`cd /sys/fs/cgroup && echo +cpu >cgroup.subtree_control && mkdir vm-a
echo '20000 100000' >vm-a/cpu.max && echo ${pid} >vm-a/cgroup.procs`);
      // The cgroup of a VM is read again with the inventory.
      await appears(host, 'kvm_vm_quota_seconds', group);
      const read = `cat ${folder}/cpu.stat ${folder}/cpu.pressure`;
      const first = await between(host, read, QMP_PORT);
      await sleep(5000);
      const second = await between(host, read, QMP_PORT);
      await host.output(`echo ${pid} >/sys/fs/cgroup/cgroup.procs`);
      assert.equal(sample(second[1], 'kvm_vm_quota_seconds', group), 0.02);
      assert.equal(sample(second[1], 'kvm_vm_quota_period_seconds', group), 0.1);
      for (const [name, labels, field, unit] of [
        ['kvm_vm_throttled_seconds_total', group, /^throttled_usec (\d+)$/m, 1e6],
        ['kvm_vm_throttled_periods_total', group, /^nr_throttled (\d+)$/m, 1],
        ['kvm_vm_pressure_seconds_total', stall, /^some .*total=(\d+)$/m, 1e6],
      ] as const) {
        const kernel = (text: string): number => Number(field.exec(text)?.[1]) / unit;
        const growth = sample(second[1], name, labels) - sample(first[1], name, labels);
        assert.ok(growth > 0, name);
        const least = kernel(second[0]) - kernel(first[2]);
        assertBetween(least, growth, kernel(second[2]) - kernel(first[0]), name);
      }
    },
  );

  await check('a killed VM is gone with the next scrape', async ({ host, pid }) => {
    for (const servedAt of [QMP_PORT, DEBUGFS_PORT]) {
      assert.equal(series(await scrape(host, servedAt), 'kvm_vm_info', VM).length, 1);
    }
    await host.output(`kill -9 ${pid}; while [ -e /proc/${pid} ]; do sleep 0.05; done`);
    for (const servedAt of [QMP_PORT, DEBUGFS_PORT]) {
      const left = [...(await scrape(host, servedAt)).keys()].filter((key) => key.includes('vm-a'));
      assert.deepEqual(left, []);
    }
    assert.equal(
      sample(await scrape(host, QMP_PORT), 'kvm_telemetry_collector_success', { collector: 'qmp' }),
      1,
    );
  });
});

async function makeReady(host: LabHost): Promise<HostBench> {
  // The guest has one CPU of the host, node the other, and one node at a time.
  const [pid] = await Promise.all([
    host.startGuest('vm-a'),
    startExporter(host, MAIN, `127.0.0.1:${DEBUGFS_PORT}`, [...STATISTICS_ONLY, '--bpf=off']),
  ]);
  const kvm = (await host.output('echo /sys/kernel/debug/kvm/*-*')).trim();
  // Before the exporter that holds the VM's monitor, which serves one client only.
  const doctor = await host.run(
    `taskset -c 0 '${process.execPath}' '${MAIN}' doctor --json ${PATIENT}`,
    DOCTOR_MS,
  );
  const options = [PATIENT, '--bpf=off', '--trace.backend=off'];
  await startExporter(host, MAIN, `0.0.0.0:${QMP_PORT}`, options);
  return { host, pid, kvm, doctor };
}

/** drivers/nvme/host/multipath.c: since Linux 6.4 the multipath disk has counters of its own. */
async function multipathCounts(host: LabHost): Promise<{ hasOwnCounters: boolean; why: string }> {
  const release = (await host.output('uname -r')).trim();
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return { hasOwnCounters: major > 6 || (major === 6 && minor >= 4), why: `Linux ${release}` };
}

/** Waits for a series of the VM. Data that rarely changes is read at one scrape in ten, or with the inventory. */
async function appears(host: LabHost, metric: string, labels: Record<string, string>): Promise<void> {
  for (let i = 0; i < 12 && series(await scrape(host, QMP_PORT), metric, labels).length === 0; i++)
    await sleep(5000);
}

/** A scrape between two runs of a command. */
async function between(host: LabHost, command: string, port: number): Promise<[string, Samples, string]> {
  const cut = '=====';
  const output = await host.output(
    `${command}; echo ${cut}; ${fetchCommand(port)} && echo ${cut} && { ${command}; }`,
  );
  const [before = '', text = '', after = ''] = output.split(`${cut}\n`);
  return [before, parseSamples(text), after];
}

/** Prints the name and the content of each cumulative file (0644) of a VM's folder in debugfs. */
function statistics(kvm: string): string {
  return `(cd ${kvm} && for f in $(find . -maxdepth 1 -type f -perm 644); do read -r v <$f; echo "$f $v"; done)`;
}

function numbers(text: string): Map<string, number> {
  return new Map(
    [...text.matchAll(/^\.\/(\w+) (\d+)$/gm)].map(([, name = '', value]) => [name, Number(value)]),
  );
}

/** Interrupts of each NVMe queue, over both CPUs: ` 33:  0  14409  PCI-MSI 16386-edge  nvme0q2`. */
function interrupts(text: string): Map<string, { irq: string; count: number }> {
  const lines = text.matchAll(/^\s*(\d+):\s+(\d+)\s+(\d+)\s.*nvme0q(\d+)$/gm);
  return new Map(
    [...lines].map(([, irq = '', cpu0, cpu1, queue = '']) => [
      queue,
      { irq, count: Number(cpu0) + Number(cpu1) },
    ]),
  );
}

async function threadId({ host, pid }: HostBench, comm: string): Promise<string> {
  const file = await host.output(`grep -lx '${comm}' /proc/${pid}/task/*/comm`);
  return /task\/(\d+)\//.exec(file)?.[1] ?? '';
}

/** Equal within the precision of a floating-point number of seconds. */
const ROUNDING = 1e-9;

function assertBetween(
  least: number | undefined,
  value: number,
  most: number | undefined,
  what: string,
): void {
  assert.ok(least !== undefined && most !== undefined, what);
  const isBetween = least * (1 - ROUNDING) <= value && value <= most * (1 + ROUNDING);
  assert.ok(isBetween, `${what}: ${least} <= ${value} <= ${most}`);
}
