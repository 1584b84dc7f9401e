import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TECHNIQUES } from '../../exporter/metrics/techniques.ts';
import type { LabHost } from '../../lab/host.ts';
import { ROOT } from '../../testing/daemon.ts';
import { type Bench, canBoot, Lab, PATIENT, scrape, startExporter } from '../../testing/lab.ts';
import { type Samples, sample, series } from '../../testing/metrics.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const VM = { vm: 'vm-a' };
const PORT = 9954;
const TIMEOUT_MS = 1_200_000;
/** QEMU's facts are read every 30 s. Techniques are judged every 10 s, and a second judgement confirms a change. */
const JUDGED_SECONDS = 90;
/** Three readings, one each ten seconds of a slow host. */
const EVENT_MS = 300_000;

interface AffinityBench extends Bench {
  readonly iothread: string;
}

test('affinity and techniques on a host with two NUMA nodes', { timeout: TIMEOUT_MS }, async (context) => {
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

  await check('a live migration splits the huge pages of the guest until it ends', async ({ host }) => {
    const hugePages = async (): Promise<number> =>
      Number(await host.output('cat /sys/kernel/debug/kvm/*-*/pages_2m'));
    const happens = async (kind: string): Promise<void> => {
      const events = `wget -q -T 60 -O - http://127.0.0.1:${PORT}/api/v1/events`;
      await host.output(`until ${events} | grep -q '"kind":"${kind}"'; do sleep 2; done`, EVENT_MS);
    };
    assert.ok((await hugePages()) > 0);
    // So slow that it never ends.
    await host.monitor('vm-a', 'migrate_set_parameter max-bandwidth 64k');
    await host.monitor('vm-a', 'migrate -d "exec:cat >/dev/null"');
    await happens('migration_began');
    await happens('huge_pages_lost');
    assert.equal(await hugePages(), 0);
    await host.monitor('vm-a', 'migrate_cancel');
    await happens('migration_ended');
    await happens('huge_pages_back');
    assert.ok((await hugePages()) > 0);
  });

  await check(
    'what is configured proves nothing, what is measured does, and a restart of the exporter changes nothing',
    async ({ host }) => {
      const judged = async (...expected: readonly string[]): Promise<Samples> => {
        const isSo = (each: Samples): boolean => statesOf(each).join() === expected.join();
        const samples = await until(host, JUDGED_SECONDS, isSo);
        assert.deepEqual(statesOf(samples), expected);
        return samples;
      };
      // vCPUs and I/O thread share a CPU, poll-max-ns is 0, and nothing is counted.
      const before = await judged('partly', 'off', 'unknown', 'unknown');
      assert.deepEqual(series(before, 'kvm_vm_stage_info', { ...VM, source: 'detected' }), []);
      await host.monitor('vm-a', 'qom-set /objects/io0 poll-max-ns 32768');
      const polls = { ...VM, feature: 'iothread_polling' };
      const polled = (each: Samples): boolean =>
        series(each, 'kvm_vm_feature', polls).some((key) => each.get(key) === 1);
      const configured = await until(host, JUDGED_SECONDS, polled);
      assert.equal(sample(configured, 'kvm_vm_feature', polls), 1);
      assert.deepEqual(statesOf(configured), ['partly', 'off', 'unknown', 'unknown']);

      // Each vCPU kicks a queue of its own, and each I/O still costs a kick, whatever is configured.
      await restart(host, [PATIENT]);
      const isCounted = (each: Samples): boolean =>
        statesOf(each)[3] === 'in_force' &&
        series(each, 'kvm_vm_queue_fairness_ratio', { ...VM, device: 'vda' }).length > 0;
      const samples = await until(host, JUDGED_SECONDS, isCounted);
      const [affinity, polling, , queues] = statesOf(samples);
      assert.deepEqual([affinity, polling, queues], ['partly', 'off', 'in_force']);
      const [locality] = series(samples, 'kvm_vm_queue_locality_ratio', { ...VM, device: 'vda' });
      assert.ok((samples.get(locality ?? '') ?? 0) > 0.9, 'a queue of its own for each vCPU');
      assert.ok(sample(samples, 'kvm_vm_queue_fairness_ratio', { ...VM, device: 'vda' }) > 0.8);
    },
  );
});

/** Without tracing to begin with. */
async function makeReady(host: LabHost): Promise<AffinityBench> {
  const pid = await host.startGuest('vm-a');
  await host.monitor('vm-a', 'qom-set /objects/io0 poll-max-ns 0');
  await startExporter(host, MAIN, `127.0.0.1:${PORT}`, ['--trace.backend=off', PATIENT]);
  const found = await host.output(`grep -lx 'IO io0' /proc/${pid}/task/*/comm`);
  return { host, iothread: /task\/(\d+)\//.exec(found)?.[1] ?? '' };
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

/** States of affinity, exitless polling, parallel batching and queue pinning. */
function statesOf(samples: Samples): string[] {
  return TECHNIQUES.map((technique) =>
    series(samples, 'kvm_vm_technique_state', { ...VM, technique })
      .filter((each) => samples.get(each) === 1)
      .map((each) => /state="(\w+)"/.exec(each)?.[1] ?? '')
      .join(),
  );
}
