import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LabHost } from '../../lab/host.ts';
import { ROOT } from '../../testing/daemon.ts';
import { type Bench, canBoot, Lab, PATIENT, scrape, startExporter } from '../../testing/lab.ts';
import { type Samples, sample, series } from '../../testing/metrics.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const VM = { vm: 'vm-a' };
const PORT = 9954;
const TIMEOUT_MS = 1_200_000;
/** Features of QEMU are read every 30 s. Stages are detected every 10 s and confirmed by a second detection. */
const STAGE_SECONDS = 75;

interface AffinityBench extends Bench {
  readonly iothread: string;
  /** The kernel's thread for vhost-net. */
  readonly vhost: string;
}

test('affinity and stages on a host with two NUMA nodes', { timeout: TIMEOUT_MS }, async (context) => {
  if (!(await canBoot(context))) return;
  const lab = new Lab(context, makeReady);
  const check = (name: string, body: (bench: AffinityBench) => Promise<void>): Promise<void> =>
    context.test(name, () => lab.check(body));

  await check(
    'memory, vCPUs and I/O thread on one CPU of one node: shared_cpu, and nothing else',
    async ({ host }) => {
      const samples = await until(
        host,
        20,
        (each) => series(each, 'kvm_vm_numa_local_ratio', VM).length === 1,
      );
      assert.ok(sample(samples, 'kvm_vm_numa_local_ratio', VM) > 0.9);
      assert.deepEqual(drifts(samples), ['shared_cpu']);
      assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'affinity' }), 1);
      assert.equal(sample(samples, 'kvm_vm_feature', { ...VM, feature: 'io_separate_from_vcpus' }), 0);
    },
  );

  await check(
    'an I/O thread on the other node is cross_node, and the node of its memory is reported',
    async (bench) => {
      const { host, iothread } = bench;
      await host.output(`taskset -pc 0 ${iothread}`);
      const samples = await until(host, 15, (each) => drifts(each).includes('cross_node'));
      assert.deepEqual(drifts(samples), ['cross_node', 'mask_changed']);
      const said = await host.output(`grep -h cross_node /run/lab/exporter-${PORT}.log | head -1`);
      assert.match(said, /iothread:io0.*node 0.*node 1/);
      await host.output(`taskset -pc 1 ${iothread}`);
      const back = await until(host, 15, (each) => !drifts(each).includes('cross_node'));
      assert.deepEqual(drifts(back), ['shared_cpu']);
    },
  );

  await check(
    'the stage follows when pins, polling and measurement change one after another',
    async (bench) => {
      const { host, iothread, vhost } = bench;
      const stage = async (expected: string): Promise<void> => {
        const labels = { ...VM, stage: expected, source: 'detected' };
        const samples = await until(
          host,
          STAGE_SECONDS,
          (each) => series(each, 'kvm_vm_stage_info', labels).length > 0,
        );
        assert.equal(series(samples, 'kvm_vm_stage_info', labels).length, 1, stageOf(samples));
      };
      await stage('original');
      await host.output(`taskset -pc 0 ${iothread}; taskset -pc 0 ${vhost}`);
      await stage('affinity');
      // With as many queues as vCPUs, polling is all that was missing.
      await host.monitor('vm-a', 'qom-set /objects/io0 poll-max-ns 32768');
      await stage('pinned_queues');
      assert.equal(sample(await scrape(host, PORT), 'kvm_vm_stage_changes_total', VM), 2);

      // The tracepoints say that each I/O still costs a kick, whatever is configured; and memory that the I/O thread
      // has touched in between may be on its node.
      await restart(host, [PATIENT]);
      const samples = await until(
        host,
        STAGE_SECONDS,
        (each) =>
          /stage="(original|affinity)",source="detected"/.test(stageOf(each)) &&
          series(each, 'kvm_vm_queue_fairness_ratio', { ...VM, device: 'vda' }).length > 0,
      );
      assert.match(stageOf(samples), /stage="(original|affinity)",source="detected"/);
      assert.equal(sample(samples, 'kvm_vm_feature', { ...VM, feature: 'iothread_polling' }), 1);
      const [locality] = series(samples, 'kvm_vm_queue_locality_ratio', { ...VM, device: 'vda' });
      assert.ok((samples.get(locality ?? '') ?? 0) > 0.9, 'a queue of its own for each vCPU');
      assert.ok(sample(samples, 'kvm_vm_queue_fairness_ratio', { ...VM, device: 'vda' }) > 0.8);
    },
  );
});

/** Without tracing to begin with: what is configured is what counts. */
async function makeReady(host: LabHost): Promise<AffinityBench> {
  const pid = await host.startGuest('vm-a');
  await host.monitor('vm-a', 'qom-set /objects/io0 poll-max-ns 0');
  await startExporter(host, MAIN, `127.0.0.1:${PORT}`, ['--trace.backend=off', PATIENT]);
  const found = await host.output(`grep -lx 'IO io0' /proc/${pid}/task/*/comm`);
  const vhost = (await host.output(`pgrep '^vhost-${pid}' | head -1`)).trim();
  return { host, vhost, iothread: /task\/(\d+)\//.exec(found)?.[1] ?? '' };
}

async function restart(host: LabHost, args: readonly string[]): Promise<void> {
  await host.output(`pkill -TERM -f '[m]ain.js serve'; while pgrep -f '[m]ain.js serve'; do sleep 0.1; done`);
  await startExporter(host, MAIN, `127.0.0.1:${PORT}`, args);
}

async function until(host: LabHost, seconds: number, isIt: (samples: Samples) => boolean): Promise<Samples> {
  const deadline = Date.now() + seconds * 1000;
  let samples = await scrape(host, PORT);
  while (!isIt(samples) && Date.now() < deadline) {
    await host.output('sleep 1');
    samples = await scrape(host, PORT);
  }
  return samples;
}

/** Kinds of drift of the I/O thread. */
function drifts(samples: Samples): string[] {
  const labels = { ...VM, thread: 'iothread:io0' };
  return series(samples, 'kvm_thread_affinity_drift', labels)
    .filter((each) => samples.get(each) === 1)
    .map((each) => /kind="(\w+)"/.exec(each)?.[1] ?? '')
    .sort();
}

function stageOf(samples: Samples): string {
  const names = ['kvm_vm_stage_info', 'kvm_vm_feature', 'kvm_thread_allowed_cpus', 'kvm_vm_numa_local_ratio'];
  return names
    .flatMap((name) => series(samples, name, VM))
    .map((each) => `${each} ${samples.get(each)}`)
    .join('\n');
}
