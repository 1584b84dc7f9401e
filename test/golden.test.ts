import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { catalogue } from '../exporter/metrics/catalogue.ts';
import { withMonitor } from '../testing/captured-monitor.ts';
import { ROOT } from '../testing/daemon.ts';
import { GOLDEN_FLAGS, GOLDEN_HOSTS, goldenFile, withoutTheMoment } from '../testing/goldens.ts';
import { moveThreadsToRows } from '../testing/thread-rows.ts';
import { hasTool } from '../testing/tools.ts';

const HOSTS = Object.keys(GOLDEN_HOSTS);
/** Without a writable tracefs no host has trace events: test/exporter/collectors/trace.test.ts tests these. */
const GOLDENS = [...HOSTS, 'trace'];
const execute = promisify(execFile);

/**
 * The output of the real command for a captured host whose monitor responds, without values that differ between runs.
 */
async function exposition(
  context: TestContext,
  host: string,
  prepare: (rootfs: string) => void = () => undefined,
): Promise<string> {
  const rootfs = await withMonitor(context, host, 't1', GOLDEN_HOSTS[host] ?? '');
  prepare(rootfs);
  const { stdout } = await execute(
    process.execPath,
    [
      `${ROOT}dist/exporter/main.js`,
      'once',
      `--path.rootfs=${rootfs}`,
      '--log.level=error',
      ...GOLDEN_FLAGS,
      '--state.dir=/nonexistent',
    ],
    { encoding: 'utf8', env: { PATH: process.env['PATH'] }, maxBuffer: 16 * 1024 * 1024 },
  );
  return withoutTheMoment(stdout);
}

function metricNames(text: string): Set<string> {
  return new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? ''));
}

for (const host of HOSTS) {
  test(`all of /metrics on the captured host ${host} is as in the golden file (update: UPDATE_GOLDEN=1)`, async (context) => {
    const golden = goldenFile(host);
    const text = `${await exposition(context, host)}\n`;
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
    assert.equal(text, readFileSync(golden, 'utf8'));
  });
}

for (const host of HOSTS) {
  test(`${host} gives the same with the threads in rows of BPF, and without their files`, async (context) => {
    const text = await exposition(context, host, moveThreadsToRows);
    const others = text.split('\n').filter((line) => !line.includes('collector="bpf"'));
    assert.equal(`${others.join('\n')}\n`, readFileSync(goldenFile(host), 'utf8'));
    assert.match(text, /^kvm_telemetry_collector_success\{collector="bpf"\} 1$/m);
  });
}

for (const golden of GOLDENS) {
  test(`promtool has no complaint about ${golden}`, (context) => {
    if (!hasTool(context, 'promtool', 'prometheus')) return;
    const text = readFileSync(`${ROOT}test/golden/${golden}.prom`);
    const complaints = execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.equal(complaints, '');
  });
}

/** Metrics that these captures of an AMD host with Linux 6.1 lack, with the reason. */
const NOT_ON_THESE_HOSTS: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  {
    pattern: /^kvm_(vm_(throttled|quota|pressure)|host_pressure|telemetry_(throttled|memory_limit))_/,
    why: 'the captures have no cgroups and no /proc/pressure; test/exporter/collectors/cgroups.test.ts',
  },
  {
    pattern: /^kvm_vm_cpu_(frequency|governor|idle|observed)_/,
    why: 'these hosts have neither cpufreq nor cpuidle; test/exporter/collectors/cpu-state.test.ts',
  },
  {
    pattern:
      /^kvm_(vm_(uclamp_.*|ext_threads|core_scheduled_threads|forced_idle_seconds_total)|sched_ext_info)$/,
    why: 'Linux 6.1 has no sched_ext, and these kernels no uclamp; test/exporter/collectors/cpu-state.test.ts',
  },
  {
    pattern: /^kvm_vm_memory_balloon_actual_bytes$/,
    why: 'the captured VM has no balloon; test/e2e/qmp.test.ts',
  },
  {
    pattern: /^kvm_(vm_migration_.*|host_(swapped_pages|numa_pages_migrated)_total)$/,
    why: 'no VM was migrated and the captures have no /proc/vmstat; test/simhost/memory.test.ts',
  },
  {
    pattern: /^kvm_vm_(metadata_info|network_.*)$/,
    why: 'off by default; test/exporter/collectors/vm-basics.test.ts',
  },
  { pattern: /_(hvc|wfe|wfi)_exit_stat_total$|_mmio_exit_(kernel|user)_total$/, why: 'arm64 only' },
  {
    pattern: /^kvm_vcpu_(halt_poll_seconds|apicv_active)$|^kvm_vm_(apicv_inhibited|confidential_info)$/,
    why: 'read by BPF only',
  },
  {
    pattern: /^kvm_host_info$/,
    why: 'the captures have neither osrelease nor cpuinfo; test/exporter/collectors/values.test.ts',
  },
  {
    pattern: /^kvm_iothread_poll_weight$/,
    why: 'this QEMU has no poll-weight; test/probes/qmp-replies.test.ts',
  },
  { pattern: /^kvm_block_numa_node$/, why: 'the emulated NVMe has no node' },
  { pattern: /^kvm_vm_disk_duration_seconds$/, why: 'nobody asked this QEMU to keep latency histograms' },
  { pattern: /^kvm_vm_disk_queue_iothread_info$/, why: 'this QEMU has no iothread-vq-mapping' },
  { pattern: /^kvm_vm_numa_local_ratio$/, why: 'read in the background, and `once` does not wait for it' },
  { pattern: /^kvm_vm_phase_(info|contradicted)$/, why: 'nobody declared one' },
  { pattern: /^kvm_vm_technique_last_in_force_ratio$/, why: 'no technique was in force' },
  { pattern: /^kvm_vm_stage_info$/, why: '`once` does not trace, so three techniques are unknown' },
  { pattern: /^kvm_vm_queue_(locality|fairness)_ratio$/, why: 'of the last minute of a running daemon' },
  { pattern: /^kvm_telemetry_config_last_reload/, why: 'only serve has a configuration to reload' },
  { pattern: /^kvm_telemetry_vm_series_dropped$/, why: 'all series fit' },
  {
    pattern: /^kvm_telemetry_trace_(sampled_ratio|cost_ratio|cost_factor)$/,
    why: 'a copy of a host has no kernel to trace',
  },
  { pattern: /^kvm_telemetry_bpf_object_loaded$/, why: 'a copy of a host loads nothing' },
  { pattern: /^kvm_telemetry_task_/, why: 'only serve has tasks' },
];

test('the catalogue and /metrics name the same metrics', () => {
  const seen = new Set(
    GOLDENS.flatMap((golden) => [...metricNames(readFileSync(`${ROOT}test/golden/${golden}.prom`, 'utf8'))]),
  );
  const listed = Object.keys(catalogue);
  assert.deepEqual(
    [...seen].filter((name) => !listed.includes(name)),
    [],
    'in /metrics and not in the catalogue',
  );
  const missing = listed.filter((name) => !seen.has(name));
  const unexplained = missing.filter((name) => !NOT_ON_THESE_HOSTS.some(({ pattern }) => pattern.test(name)));
  assert.deepEqual(unexplained, [], 'in the catalogue and not in /metrics');
});

test('the global files of KVM in debugfs, which fall when a VM ends, are not exported', () => {
  const total = readFileSync(
    `${ROOT}test/fixtures/hosts/linux-nvme-vhost/t1/sys/kernel/debug/kvm/exits`,
    'utf8',
  ).trim();
  const exits =
    readFileSync(`${ROOT}test/golden/linux-nvme-vhost.prom`, 'utf8').match(/^kvm\w*_exits_total\S* .*/gm) ??
    [];
  assert.ok(Number(total) > 0);
  for (const line of exits.filter((each) => each.startsWith('kvm_vm_exits_total')))
    assert.match(line, /\{vm="vm-a"\}/);
});
