import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { parseSamples, type Samples, sample, series } from '../../../testing/metrics.ts';
import { KVM_VM, qemuProcess } from '../../../testing/qemu-process.ts';

interface Observed {
  readonly samples: Samples;
  readonly text: string;
  readonly log: readonly Record<string, unknown>[];
}

/** Two VMs, each with one vCPU and one IOThread, and a disk. */
function twoVms(context: TestContext): HostTree {
  const tree = hostTree(context);
  for (const [pid, name] of [
    [10, 'web'],
    [20, 'db'],
  ] as const) {
    tree.process(
      qemuProcess(pid, name, {
        fds: { 9: KVM_VM, 11: { target: '/dev/sda', mount: 1 } },
        threads: [
          { tid: pid + 1, comm: 'CPU 0/KVM' },
          { tid: pid + 2, comm: 'IO io0' },
        ],
      }),
    );
    tree.write(`sys/kernel/debug/kvm/${pid}-9/exits`, '1000\n');
    tree.write(`sys/kernel/debug/kvm/${pid}-9/halt_wait_ns`, '5000000000\n');
    tree.write(`sys/kernel/debug/kvm/${pid}-9/new_statistic`, '7\n');
    tree.write(`sys/kernel/debug/kvm/${pid}-9/max_new_size`, '8\n');
  }
  tree.write('proc/schedstat', 'version 15\ntimestamp 1\ncpu0 0 0 0 0 0 0 5 6 7\n');
  tree.write(
    'proc/interrupts',
    '      CPU0  CPU1\n 29:  1  2  PCI-MSI 16385-edge  nvme0q1\nPIN:  3  4  Posted\n',
  );
  tree.write('proc/irq/29/effective_affinity_list', '1\n');
  tree.disk('sda', '8:0');
  tree.write('sys/block/sda/stat', '1 2 3 4 5 6 7 8 9 10 11\n');
  tree.write('sys/block/sda/inflight', '1 2\n');
  tree.write('sys/block/sda/queue/scheduler', '[none]\n');
  tree.write('sys/module/kvm/parameters/halt_poll_ns', '200000\n');
  return tree;
}

async function observe(
  context: TestContext,
  tree: HostTree,
  flags: Record<string, unknown> = {},
  scrapes = 1,
): Promise<Observed> {
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void log.push(JSON.parse(line)) });
  const exporter = await exporterOf(context, tree, flags, logger);
  let text = '';
  for (let i = 0; i < scrapes; i++) text = await exporter.text();
  return { samples: parseSamples(text), text, log };
}

function success(samples: Samples, collector: string): number {
  return sample(samples, 'kvm_telemetry_collector_success', { collector });
}

test('on a sound host every collector succeeds', async (context) => {
  const { samples } = await observe(context, twoVms(context));
  for (const key of series(samples, 'kvm_telemetry_collector_success'))
    assert.equal(samples.get(key), 1, key);
  assert.equal(sample(samples, 'kvm_vm_exits_total', { vm: 'web' }), 1000);
  assert.equal(sample(samples, 'kvm_vm_halt_wait_seconds_total', { vm: 'web' }), 5);
  assert.equal(sample(samples, 'kvm_block_io_now', { device: 'sda', direction: 'write' }), 2);
});

test('an unknown statistic is exported under a generic name', async (context) => {
  const { samples, text } = await observe(context, twoVms(context));
  assert.equal(sample(samples, 'kvm_vm_new_statistic_total', { vm: 'web' }), 7);
  assert.equal(sample(samples, 'kvm_vm_max_new_size', { vm: 'web' }), 8);
  assert.match(text, /# TYPE kvm_vm_new_statistic_total counter/);
  assert.match(text, /# TYPE kvm_vm_max_new_size gauge/);
});

test('unknown statistics are bounded, and none takes the name of another metric', async (context) => {
  const tree = twoVms(context);
  for (let i = 0; i < 500; i++) tree.write(`sys/kernel/debug/kvm/10-9/flood${i}`, '1\n');
  tree.write('sys/kernel/debug/kvm/10-9/vcpus', '99\n');
  chmodSync(join(tree.folder, 'sys/kernel/debug/kvm/10-9/vcpus'), 0o444);
  const { samples, text } = await observe(context, tree);
  const floods = [...samples.keys()].filter((key) => key.startsWith('kvm_vm_flood'));
  assert.ok(floods.length > 0 && floods.length <= 64, `${floods.length} series`);
  assert.equal(sample(samples, 'kvm_vm_vcpus', { vm: 'web' }), 1);
  assert.equal(text.match(/# TYPE kvm_vm_vcpus /g)?.length, 1);
});

const BAD: Readonly<Record<string, string | Buffer>> = {
  empty: '',
  garbage: 'what?\n',
  binary: Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 37) % 256)),
  huge: '9'.repeat(2 * 1024 * 1024),
  negative: '-1 -2 -3\n',
};

const FILES: readonly { readonly path: string; readonly collector: string; readonly lost: RegExp }[] = [
  {
    path: 'proc/10/task/11/schedstat',
    collector: 'threads',
    lost: /_thread_(run|wait|timeslices)\w*\{vm="web",thread="vcpu0"/,
  },
  {
    path: 'proc/10/task/11/status',
    collector: 'threads',
    lost: /_thread_(context_switches_total|allowed_cpus)\{vm="web",thread="vcpu0"/,
  },
  {
    path: 'proc/10/task/11/sched',
    collector: 'threads',
    lost: /_thread_migrations_total\{vm="web",thread="vcpu0"/,
  },
  {
    path: 'sys/kernel/debug/kvm/10-9/exits',
    collector: 'kvm_debugfs',
    lost: /kvm_vm_exits_total\{vm="web"\}/,
  },
  { path: 'proc/schedstat', collector: 'schedstat', lost: /kvm_cpu_run/ },
  { path: 'proc/interrupts', collector: 'interrupts', lost: /kvm_interrupts/ },
  { path: 'proc/irq/29/effective_affinity_list', collector: 'interrupts', lost: /kvm_nvme_queue_affinity/ },
  { path: 'sys/block/sda/stat', collector: 'block', lost: /kvm_block_reads_completed/ },
  { path: 'sys/block/sda/inflight', collector: 'block', lost: /kvm_block_io_now/ },
  { path: 'sys/devices/system/cpu/online', collector: 'cpus', lost: /kvm_cpu_info/ },
];

for (const { path, collector, lost } of FILES) {
  test(`a bad ${path} affects only its own values and is reported by ${collector}`, async (context) => {
    for (const [how, content] of Object.entries(BAD)) {
      // An empty CPU list is valid: it means no CPU.
      if (how === 'empty' && /_list$|online$/.test(path)) continue;
      const tree = twoVms(context);
      tree.write(path, content);
      const { samples, text, log } = await observe(context, tree, {}, 3);
      const problems = log.filter((entry) => entry['collector'] === collector && entry['level'] === 40);
      assert.equal(problems.length, 1, `${how}: one log line for three scrapes`);
      assert.ok(String(problems[0]?.['path']).length > 0 && String(problems[0]?.['reason']).length > 0);
      assert.equal(success(samples, collector), 0, how);
      assert.ok(
        !text.split('\n').some((line) => lost.test(line) && !line.startsWith('#')),
        `${how}: nothing invented`,
      );
      for (const key of series(samples, 'kvm_telemetry_collector_success')) {
        if (!key.includes(`"${collector}"`)) assert.equal(samples.get(key), 1, `${how}: ${key}`);
      }
      assert.equal(sample(samples, 'kvm_vm_exits_total', { vm: 'db' }), 1000, how);
      const cpu = { vm: 'web', thread: 'vcpu0' };
      assert.equal(series(samples, 'kvm_thread_cpu_seconds_total', cpu).length, 3, how);
      assert.equal(
        series(samples, 'kvm_thread_run_seconds_total', { vm: 'db', thread: 'vcpu0' }).length,
        1,
        how,
      );
      for (const [key, value] of samples) {
        if (key.startsWith('kvm_'))
          assert.ok(Number.isFinite(value) && value >= 0, `${how}: ${key} ${value}`);
      }
    }
  });
}

test('a thread that ends between listing and reading is no failure', async (context) => {
  const tree = twoVms(context);
  for (const file of ['schedstat', 'status', 'sched']) tree.remove(`proc/10/task/11/${file}`);
  const { samples } = await observe(context, tree);
  assert.equal(success(samples, 'threads'), 1);
  assert.equal(series(samples, 'kvm_thread_run_seconds_total', { vm: 'web', thread: 'vcpu0' }).length, 0);
  assert.equal(
    series(samples, 'kvm_thread_run_seconds_total', { vm: 'web', thread: 'iothread:io0' }).length,
    1,
  );
});

test('a kernel without /proc/<pid>/sched has all metrics except migrations', async (context) => {
  const tree = twoVms(context);
  for (const tid of ['10/task/10', '10/task/11', '10/task/12', '20/task/20', '20/task/21', '20/task/22']) {
    tree.remove(`proc/${tid}/sched`);
  }
  const { samples } = await observe(context, tree);
  assert.equal(series(samples, 'kvm_thread_migrations_total').length, 0);
  assert.equal(series(samples, 'kvm_thread_run_seconds_total', { thread: 'vcpu0' }).length, 2);
  assert.equal(success(samples, 'threads'), 0);
});

test('a kernel without /proc/<pid>/schedstat has all metrics except run and wait times', async (context) => {
  const tree = twoVms(context);
  for (const tid of ['10/task/10', '10/task/11', '10/task/12', '20/task/20', '20/task/21', '20/task/22']) {
    tree.remove(`proc/${tid}/schedstat`);
  }
  const { samples, log } = await observe(context, tree, {}, 2);
  assert.equal(series(samples, 'kvm_thread_run_seconds_total').length, 0);
  assert.equal(series(samples, 'kvm_thread_cpu_seconds_total', { thread: 'vcpu0' }).length, 6);
  assert.equal(series(samples, 'kvm_thread_migrations_total', { thread: 'vcpu0' }).length, 2);
  assert.equal(log.filter((entry) => entry['collector'] === 'threads').length, 1);
});

test('zeros of a kernel without sched_info are not shown as times', async (context) => {
  const tree = twoVms(context);
  for (const tid of [10, 11, 12]) tree.write(`proc/10/task/${tid}/schedstat`, '0 0 0\n');
  const { samples } = await observe(context, tree);
  assert.equal(series(samples, 'kvm_thread_run_seconds_total', { vm: 'web' }).length, 0);
  assert.equal(
    series(samples, 'kvm_thread_cpu_seconds_total', { vm: 'web', thread: 'vcpu0', mode: 'user' }).length,
    1,
  );
});

for (const [mode, text] of [
  ['integrity', 'none [integrity] confidentiality\n'],
  ['confidentiality', 'none integrity [confidentiality]\n'],
] as const)
  test(`under lockdown=${mode} only the counters are missing, and their files are not opened`, async (context) => {
    const tree = twoVms(context);
    tree.write('sys/kernel/security/lockdown', text);
    tree.write('sys/kernel/debug/kvm/10-9/blocking', '1\n');
    chmodSync(join(tree.folder, 'sys/kernel/debug/kvm/10-9/blocking'), 0o444);
    const { samples, log } = await observe(context, tree, {}, 3);
    assert.equal(success(samples, 'kvm_debugfs'), 0);
    assert.equal(series(samples, 'kvm_vm_exits_total').length, 0);
    assert.equal(sample(samples, 'kvm_vm_blocking', { vm: 'web' }), 1);
    assert.equal(sample(samples, 'kvm_lockdown_info', { mode }), 1);
    const said = log.filter((entry) => entry['collector'] === 'kvm_debugfs');
    assert.equal(said.length, 1);
    assert.equal(said[0]?.['reason'], `kernel lockdown (${mode})`);
  });

test('series above the limit are dropped, counted, and logged once', async (context) => {
  const { samples, log } = await observe(context, twoVms(context), { 'limits.maxSeries': '20' }, 3);
  assert.equal(sample(samples, 'kvm_telemetry_series'), 20);
  assert.ok(sample(samples, 'kvm_telemetry_series_dropped') > 0);
  assert.equal(series(samples, 'kvm_vm_info').length, 2, 'what matters most comes first');
  assert.equal(log.filter((entry) => 'cut' in entry).length, 1);
});

test('a disabled collector does not run and has no success metric', async (context) => {
  const { samples } = await observe(context, twoVms(context), { 'collector.interrupts': false });
  assert.equal(series(samples, 'kvm_interrupts_total').length, 0);
  assert.equal(series(samples, 'kvm_telemetry_collector_success', { collector: 'interrupts' }).length, 0);
});

test("with an unreadable root only the exporter's own metrics exist, and the reason is reported", async (context) => {
  const tree = twoVms(context);
  tree.remove('proc');
  tree.remove('sys');
  const { samples, log } = await observe(context, tree);
  assert.equal(success(samples, 'inventory'), 0);
  assert.equal(success(samples, 'block'), 0);
  assert.equal(series(samples, 'kvm_vm_info').length, 0);
  assert.ok(
    log.some((entry) => entry['collector'] === 'inventory' && String(entry['path']).endsWith('/proc')),
  );
});
