import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabHost } from '../../lab/host.ts';
import { ROOT } from '../../testing/daemon.ts';
import { type Bench, canBoot, Lab, scrape, startExporter } from '../../testing/lab.ts';
import { type Samples, sample } from '../../testing/metrics.ts';
import { has } from '../../testing/tools.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const PORT = 9954;
const VCPUS = { vm: 'vm-a', role: 'vcpu' };
const TIMEOUT_MS = 1_200_000;
/** The files of a thread with constant counters are read at one scrape in ten. */
const SCRAPES = 12;

interface NewerBench extends Bench {
  readonly pid: number;
}

test('what the scheduler of a newer kernel does', { timeout: TIMEOUT_MS }, async (context) => {
  if (!(await canBoot(context))) return;
  const advice = 'LAB_KERNEL names a newer kernel (docs/lab.md)';
  if (!has(context, process.env['LAB_KERNEL'] !== undefined, advice)) return;
  const lab = new Lab<NewerBench>(context, makeReady);
  const check = (name: string, present: string, body: (bench: NewerBench) => Promise<void>): Promise<void> =>
    context.test(name, (own) =>
      lab.check(async (bench) => {
        const { code } = await bench.host.run(present);
        if (code !== 0) own.skip(`this kernel does not have it: ${present}`);
        else await body(bench);
      }),
    );

  await check(
    'the limits of uclampset',
    'grep -qw uclamp_eff_value /proc/kallsyms',
    async ({ host, pid }) => {
      const all = await readAfter(host, `uclampset -a -m 256 -M 768 -p ${pid}`);
      assert.equal(sample(all, 'kvm_vm_uclamp_min_ratio', VCPUS), 0.25);
      assert.equal(sample(all, 'kvm_vm_uclamp_max_ratio', VCPUS), 0.75);
    },
  );

  await check('a BPF scheduler is known to be off', 'test -d /sys/kernel/sched_ext', async ({ host }) => {
    const samples = await scrape(host, PORT);
    assert.equal(sample(samples, 'kvm_sched_ext_info', { state: 'disabled' }), 1);
    assert.equal(sample(samples, 'kvm_vm_ext_threads', VCPUS), 0);
  });

  await check(
    'no thread has a core-scheduling cookie',
    'grep -qw sched_core_share_pid /proc/kallsyms',
    async ({ host }) => {
      assert.equal(sample(await scrape(host, PORT), 'kvm_vm_core_scheduled_threads', VCPUS), 0);
    },
  );
});

async function makeReady(host: LabHost): Promise<NewerBench> {
  const pid = await host.startGuest('vm-a');
  await startExporter(host, MAIN, `127.0.0.1:${PORT}`, ['--no-collector.qmp', '--trace.backend=off']);
  return { host, pid };
}

/** Runs a command, then scrapes until every thread's files were read again. */
async function readAfter(host: LabHost, command: string): Promise<Samples> {
  await host.output(command);
  let samples = await scrape(host, PORT);
  for (let i = 1; i < SCRAPES; i++) {
    await sleep(1000);
    samples = await scrape(host, PORT);
  }
  return samples;
}
