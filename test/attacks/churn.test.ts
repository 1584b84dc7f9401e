import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { buildTinyVm, canRunTinyVms } from '../../testing/tiny-vm.ts';

const BIRTHS_PER_SECOND = 50;
const SCRAPES = 60;
const LONGEST_LIFE_MS = 200;

/** Starts real VMs one after the other, each of which soon ends by itself. */
function churn(context: TestContext, program: string): { readonly births: number; stop(): void } {
  const living = new Set<ChildProcess>();
  const state = { births: 0, stop: () => clearInterval(timer) };
  const timer = setInterval(() => {
    const vm = spawn(program, [String((state.births * 37) % LONGEST_LIFE_MS)], { stdio: 'ignore' });
    state.births++;
    living.add(vm);
    vm.once('exit', () => living.delete(vm));
  }, 1000 / BIRTHS_PER_SECOND);
  context.after(() => {
    state.stop();
    for (const vm of living) vm.kill('SIGKILL');
  });
  return state;
}

async function scrape(daemon: Daemon): Promise<{ failing: string[]; vms: number }> {
  const text = await daemon.metrics();
  return {
    failing: [...text.matchAll(/^kvm_telemetry_collector_success\{collector="(\w+)"\} 0$/gm)].map(
      (match) => match[1] ?? '',
    ),
    vms: [...text.matchAll(/^kvm_vm_info\{/gm)].length,
  };
}

test('fifty short-lived VMs a second fail no collector and log nothing', async (context) => {
  if (!canRunTinyVms(context)) return;
  // Its name is that of a VMM, so that each pass reads its files.
  const program = buildTinyVm(context, 'firecracker');
  const daemon = await startDaemon(context, [
    '--inventory.schedule=* * * * * *',
    // Without monitors and libvirt, which belong to VMs of other tests.
    '--no-collector.qmp',
    '--no-collector.libvirt',
  ]);
  const quiet = await scrape(daemon);
  const before = daemon.log.length;
  const vms = churn(context, program);
  const failures = new Map<string, number>();
  let seen = 0;
  for (let i = 0; i < SCRAPES; i++) {
    const { failing, vms: count } = await scrape(daemon);
    seen += count;
    for (const collector of failing) {
      if (!quiet.failing.includes(collector)) failures.set(collector, (failures.get(collector) ?? 0) + 1);
    }
    await sleep(20);
  }
  vms.stop();
  context.diagnostic(`${vms.births} births, ${seen} VMs in ${SCRAPES} scrapes`);
  assert.deepEqual(Object.fromEntries(failures), {}, JSON.stringify(daemon.log.slice(before)));
  assert.ok(seen > SCRAPES, `${seen} VMs in ${SCRAPES} scrapes`);
  assert.deepEqual(
    daemon.log.slice(before).filter(({ level }) => Number(level) >= 40),
    [],
  );
});
