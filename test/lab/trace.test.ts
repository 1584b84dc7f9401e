import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LabHost } from '../../lab/host.ts';
import { ROOT } from '../../testing/daemon.ts';
import { type Bench, canBoot, Lab, scrape, startExporter } from '../../testing/lab.ts';
import { type Samples, sample, series } from '../../testing/metrics.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const VM = { vm: 'vm-a' };
const PORT = 9954;
const TRACEFS = '/sys/kernel/tracing';
const TIMEOUT_MS = 1_200_000;
/** Debugfs, so that what KVM counts itself is of the same moment as what its tracepoints count. */
const ARGUMENTS = ['--no-collector.qmp', '--trace.vcpu-reasons', '--trace.backend=tracefs'];

interface TraceBench extends Bench {
  readonly pid: number;
}

test('trace events on a real KVM host', { timeout: TIMEOUT_MS }, async (context) => {
  if (!(await canBoot(context))) return;
  const lab = new Lab(context, makeReady);
  const check = (name: string, body: (bench: TraceBench) => Promise<void>): Promise<void> =>
    context.test(name, () => lab.check(body));

  await check(
    'hist triggers are what counts, and every tracepoint of the default sets is there',
    async (bench) => {
      const samples = await scrape(bench.host, PORT);
      assert.equal(sample(samples, 'kvm_telemetry_trace_backend_info', { backend: 'tracefs' }), 1);
      assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'trace' }), 1);
      const sets = ['exits', 'notifications', 'interrupts', 'halt_poll', 'block', 'exit_duration'];
      for (const set of sets)
        assert.equal(sample(samples, 'kvm_telemetry_trace_dropped_total', { set }), 0, set);
    },
  );

  await check("what the tracepoints count agrees with the kernel's own counters", async ({ host }) => {
    const [before] = await standingStill(host);
    await host.output('sleep 8');
    const [after] = await standingStill(host);
    const grown = (name: string, labels: Record<string, string> = {}): number =>
      sum(after, name, { ...VM, ...labels }) - sum(before, name, { ...VM, ...labels });

    const exits = grown('kvm_vm_exits_total');
    assert.ok(exits > 2000, `${exits} exits`);
    assertNear(grown('kvm_vm_trace_events_total', { event: 'kvm_exit' }), exits, 'kvm_exit');
    const byReason = grown('kvm_vm_exits_by_reason_total');
    assert.equal(byReason, grown('kvm_vm_trace_events_total', { event: 'kvm_exit' }));
    assert.equal(byReason, grown('kvm_vcpu_exits_by_reason_total'));
    assert.equal(byReason, grown('kvm_vm_io_path_events_total'));
    assert.equal(grown('kvm_vm_io_path_events_total', { step: 'kick' }), grown('kvm_virtqueue_kicks_total'));
    // The VM's disk is all that there is on this device, whose requests are traced under its hidden path.
    const device = { device: 'nvme0n1' };
    const completed = (samples: Samples): number =>
      sample(samples, 'kvm_block_reads_completed_total', device) +
      sample(samples, 'kvm_block_writes_completed_total', device);
    const requests = completed(after) - completed(before);
    assert.ok(requests > 100, `${requests} requests`);
    assertNear(grown('kvm_vm_block_requests_total', device), requests, 'block requests');
    // Each vCPU has a queue of its own, and each I/O a kick at most and an interrupt at most.
    const kicks = grown('kvm_virtqueue_kicks_total');
    assert.ok(kicks > requests / 2 && kicks < requests * 1.5, `${kicks} kicks for ${requests} requests`);
    const asked = grown('kvm_vm_msi_interrupts_total');
    assert.equal(asked, grown('kvm_vm_trace_events_total', { event: 'kvm_msi_set_irq' }));
    assert.ok(asked > requests / 2, `${asked} interrupts for ${requests} requests`);
  });

  // A second exporter takes a minute and a half to start. CI has no time for it; a release runs it (RELEASE.md).
  const isLong = process.env['LAB_SHORT'] === undefined;
  const checkIfLong = isLong ? check : async () => undefined;
  await checkIfLong('BPF and hist triggers count the same in one boot', async ({ host }) => {
    const address = `127.0.0.1:${PORT + 1}`;
    await startExporter(host, MAIN, address, [
      ...ARGUMENTS.slice(0, 2),
      '--trace.backend=bpf',
      '--trace.budget=1',
      '--state.dir=/run/lab/state-bpf',
    ]);
    const both = async (): Promise<readonly [Samples, Samples]> => {
      await host.monitor('vm-a', 'stop');
      await host.output('sleep 1');
      const result = [await scrape(host, PORT), await scrape(host, PORT + 1)] as const;
      await host.monitor('vm-a', 'cont');
      return result;
    };
    // Until it knows the VM.
    await host.output('sleep 2');
    const before = await both();
    await host.output('sleep 8');
    const after = await both();
    assert.equal(sample(after[1], 'kvm_telemetry_trace_backend_info', { backend: 'bpf' }), 1);
    assert.equal(sample(after[1], 'kvm_telemetry_collector_success', { collector: 'trace' }), 1);
    const grown = (i: 0 | 1, name: string, labels: Record<string, string>): number =>
      sum(after[i], name, { ...VM, ...labels }) - sum(before[i], name, { ...VM, ...labels });
    const events = ['kvm_exit', 'kvm_mmio', 'kvm_msi_set_irq', 'kvm_eoi', 'kvm_inj_virq', 'block_rq_issue'];
    for (const event of events) {
      const [triggers, bpf] = [0, 1].map((i) => grown(i as 0 | 1, 'kvm_vm_trace_events_total', { event }));
      assertNear(bpf ?? 0, triggers ?? 0, event);
    }
    for (const name of ['kvm_virtqueue_kicks_total', 'kvm_vm_exits_by_reason_total'])
      assertNear(grown(1, name, {}), grown(0, name, {}), name);
    const vcpus = (name: string): number[] => ['0', '1'].map((vcpu) => grown(1, name, { vcpu }));
    for (const [vcpu, exits] of vcpus('kvm_vcpu_exits_by_reason_total').entries())
      assertNear(exits, vcpus('kvm_vcpu_exits_total')[vcpu] ?? 0, `exits of vCPU ${vcpu}`);
    await host.output(`pkill -TERM -f 'listen-address=${address}'; sleep 1`);
  });

  await check("a queue's kicks come from its vCPU", async ({ host }) => {
    const samples = await scrape(host, PORT);
    const kicks = (queue: string, vcpu: string): number =>
      sum(samples, 'kvm_virtqueue_kicks_total', { ...VM, queue, vcpu });
    const queues = series(samples, 'kvm_virtqueue_info', VM).map(
      (key) => /queue="([^"]*)"/.exec(key)?.[1] ?? '',
    );
    const top = ['0', '1'].map((vcpu) => Math.max(...queues.map((queue) => kicks(queue, vcpu))));
    for (const [vcpu, count] of top.entries()) {
      assert.ok(count > 0.9 * sum(samples, 'kvm_virtqueue_kicks_total', { ...VM, vcpu: String(vcpu) }));
    }
    assert.ok(queues.length >= 2);
  });

  await check('durations are sampled for a tenth of the time', async ({ host }) => {
    await host.output('sleep 10');
    const samples = await scrape(host, PORT);
    const ratio = sample(samples, 'kvm_telemetry_trace_active_ratio', { set: 'exit_duration' });
    assert.ok(ratio > 0.01 && ratio < 0.3, `active for ${ratio}`);
    const count = sample(samples, 'kvm_vm_exit_duration_seconds_count', { ...VM, reason: 'npf' });
    const seconds = sample(samples, 'kvm_vm_exit_duration_seconds_sum', { ...VM, reason: 'npf' });
    assert.ok(
      count > 10 && seconds / count > 1e-6 && seconds / count < 0.5,
      `${seconds} s in ${count} exits`,
    );
  });

  await check('a removed instance is created again, and no counter falls', async ({ host }) => {
    const before = await scrape(host, PORT);
    await host.output(REMOVE_INSTANCE);
    await host.output(
      `for _ in {1..100}; do [ -e ${TRACEFS}/instances/kvm-telemetry-* ] && exit; sleep 0.1; done`,
    );
    await host.output('sleep 3');
    const after = await scrape(host, PORT);
    for (const [name, value] of before) {
      if (/^kvm_vm_(trace|exits_by_reason|io_path)/.test(name))
        assert.ok((after.get(name) ?? 0) >= value, name);
    }
    const exits = ['kvm_vm_trace_events_total', { ...VM, event: 'kvm_exit' }] as const;
    assert.ok(sample(after, ...exits) > sample(before, ...exits));
  });

  await check(
    "a crash leaves an instance that the next start removes; others' tracing is left alone",
    async (bench) => {
      const { host } = bench;
      await host.output(`mkdir ${TRACEFS}/instances/theirs
echo 'hist:keys=common_pid' >> ${TRACEFS}/instances/theirs/events/kvm/kvm_exit/trigger
echo 'hist:keys=common_pid' >> ${TRACEFS}/events/kvm/kvm_entry/trigger
echo 'theirs u64 x' >> ${TRACEFS}/synthetic_events`);
      const [crashed = ''] = await instances(host);
      await host.output(`pkill -KILL -f '[m]ain.js serve'; sleep 0.5`);
      assert.deepEqual(await instances(host), [crashed]);
      await startExporter(host, MAIN, `127.0.0.1:${PORT}`, ARGUMENTS);
      const now = await instances(host);
      assert.equal(now.length, 1);
      assert.notEqual(now[0], crashed);

      await host.output(
        `pkill -TERM -f '[m]ain.js serve'; while pgrep -f '[m]ain.js serve'; do sleep 0.1; done`,
      );
      assert.deepEqual(await instances(host), []);
      assert.equal(await host.output(`cat ${TRACEFS}/synthetic_events`), 'theirs\tu64 x\n');
      const theirs = await host.output(
        `cd ${TRACEFS}; cat instances/theirs/events/kvm/kvm_exit/trigger events/kvm/kvm_entry/trigger`,
      );
      assert.equal(theirs.match(/^hist:keys=common_pid:/gm)?.length, 2);
      await host.output(`echo '!hist:keys=common_pid' >> ${TRACEFS}/events/kvm/kvm_entry/trigger
rmdir ${TRACEFS}/instances/theirs; echo '!theirs' >> ${TRACEFS}/synthetic_events`);
    },
  );

  await check(
    'switches of VM threads, block latency and lock contention on demand',
    async ({ host, pid }) => {
      const sets = 'exits,sched,block_duration,lock';
      await startExporter(host, MAIN, `127.0.0.1:${PORT}`, [
        `--trace.sets=${sets}`,
        '--trace.backend=tracefs',
        '--trace.budget=1',
      ]);
      const switches = `cat /proc/${pid}/task/*/status | grep ctxt_switches`;
      const counted = (text: string): number =>
        [...text.matchAll(/:\t(\d+)/g)].reduce((total, [, count]) => total + Number(count), 0);
      const address = `127.0.0.1:${PORT + 1}`;
      const bpf = ['--trace.backend=bpf', '--trace.budget=1', '--state.dir=/run/lab/state-bpf'];
      if (isLong) await startExporter(host, MAIN, address, ['--trace.sets=sched,lock', ...bpf]);
      const read = async (): Promise<[number, Samples | undefined]> => [
        counted(await host.output(switches)),
        isLong ? await scrape(host, PORT + 1) : undefined,
      ];
      const [before, [least, first]] = await standingStill(host, read);
      await host.output('sleep 5');
      const [after, [most, last]] = await standingStill(host, read);
      const event = { ...VM, event: 'sched_switch' };
      const name = 'kvm_vm_trace_events_total';
      if (first !== undefined && last !== undefined) {
        const grown = (from: Samples, to: Samples, counter: string, labels = VM): number =>
          sum(to, counter, labels) - sum(from, counter, labels);
        for (const each of ['sched_switch', 'sched_migrate_task', 'contention_end']) {
          const labels = { ...VM, event: each };
          const [triggers, programs] = [grown(before, after, name, labels), grown(first, last, name, labels)];
          context.diagnostic(`${each}: ${triggers} by hist triggers, ${programs} by BPF`);
          assert.ok(
            Math.abs(programs - triggers) <= Math.max(1, triggers / 100),
            `${each}: ${programs} of ${triggers}`,
          );
        }
        const waits = 'kvm_vm_lock_contention_seconds_total';
        const seconds = [grown(before, after, waits), grown(first, last, waits)];
        context.diagnostic(`seconds of waits for locks by hist triggers and BPF: ${seconds.join(', ')}`);
      }
      const traced = sum(after, name, event) - sum(before, name, event);
      // The filter is for threads on the I/O path; QEMU's main thread does almost nothing.
      assert.ok(traced > 100 && traced <= most - least + 20, `${traced} of ${most - least}`);
      assert.ok(traced > 0.9 * (most - least), `${traced} of ${most - least}`);
      const duration = 'kvm_vm_block_request_duration_seconds';
      const count = sample(after, `${duration}_count`, VM);
      const mean = sample(after, `${duration}_sum`, VM) / count;
      assert.ok(count > 50 && mean > 1e-6 && mean < 1, `${count} requests of ${mean} s`);
      assert.equal(sample(after, 'kvm_telemetry_collector_success', { collector: 'trace' }), 1);
      await host.output(
        `pkill -TERM -f '[m]ain.js serve'; while pgrep -f '[m]ain.js serve'; do sleep 0.1; done`,
      );
      assert.deepEqual(await instances(host), []);
    },
  );

  await check('a missing or read-only tracefs is reported with its fix', async ({ host }) => {
    const doctor = async (argument: string): Promise<{ usable: boolean; findings: object[] } | undefined> => {
      const { stdout } = await host.run(
        `taskset -c 0 '${process.execPath}' '${MAIN}' doctor --json --trace.backend=tracefs ${argument}`,
      );
      const { sources } = JSON.parse(stdout) as {
        sources: { source: string; usable: boolean; findings: object[] }[];
      };
      return sources.find(({ source }) => source === 'trace');
    };
    const absent = await doctor('--path.tracefs=/run/nothing');
    assert.equal(absent?.usable, false);
    assert.match(JSON.stringify(absent?.findings), /mount -t tracefs/);
    await host.output(
      `mkdir -p /run/ro && mount --bind ${TRACEFS} /run/ro && mount -o remount,ro,bind /run/ro`,
    );
    const readOnly = await doctor('--path.tracefs=/run/ro');
    assert.equal(readOnly?.usable, false);
    assert.match(JSON.stringify(readOnly?.findings), /EROFS.*read-write/);
  });
});

/** Not only rmdir, which the kernel refuses while triggers use each other's variables. */
// The exporter is stopped for that: it puts triggers back as soon as it misses one, and then rmdir finds the instance busy.
const REMOVE_INSTANCE = `pkill -STOP -f '[m]ain.js serve'; trap "pkill -CONT -f '[m]ain.js serve'" EXIT
cd ${TRACEFS}/instances/kvm-telemetry-*; for _ in 1 2 3; do
for f in $(grep -l ^hist: events/{kvm,block,synthetic}/*/trigger); do tac $f | grep ^hist: | while read -r line; do
echo "!\${line% \\[*\\]}" >> $f; done; done; done 2>/dev/null; cd ${TRACEFS}; rmdir instances/kvm-telemetry-*`;

async function makeReady(host: LabHost): Promise<TraceBench> {
  const [pid] = await Promise.all([
    host.startGuest('vm-a'),
    startExporter(host, MAIN, `127.0.0.1:${PORT}`, ARGUMENTS),
  ]);
  // Until it knows the VM and has installed all.
  await host.output('sleep 2');
  await scrape(host, PORT);
  return { host, pid };
}

/** A scrape and the result of `read` with the guest stopped, so that all readings are from the same moment. */
async function standingStill<T>(
  host: LabHost,
  read: () => Promise<T> = () => Promise.resolve(undefined as T),
): Promise<[Samples, T]> {
  await host.monitor('vm-a', 'stop');
  await host.output('sleep 1');
  const result: [Samples, T] = [await scrape(host, PORT), await read()];
  await host.monitor('vm-a', 'cont');
  return result;
}

async function instances(host: LabHost): Promise<string[]> {
  const names = await host.output(`ls ${TRACEFS}/instances`);
  return names.split('\n').filter((name) => name.startsWith('kvm-telemetry-'));
}

function sum(samples: Samples, name: string, labels: Record<string, string>): number {
  return series(samples, name, labels).reduce((total, each) => total + (samples.get(each) ?? 0), 0);
}

/** Within 1%. */
function assertNear(value: number, expected: number, what: string): void {
  assert.ok(Math.abs(value / expected - 1) < 0.01, `${what}: ${value}, and the kernel says ${expected}`);
}
