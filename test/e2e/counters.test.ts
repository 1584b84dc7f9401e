import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon } from '../../testing/daemon.ts';
import { guestWithMonitor } from '../../testing/guest-with-monitor.ts';
import { type Samples, sample } from '../../testing/metrics.ts';
import { assertNoneFalls } from '../../testing/never-falls.ts';
import { canRunGuests } from '../../testing/qemu.ts';
import { has } from '../../testing/tools.ts';

const SCRAPES = 45;
const NAME = 'kt-counters';

function canRun(context: TestContext): boolean {
  return (
    canRunGuests(context) &&
    has(context, process.geteuid?.() === 0, 'only root can make the directory of the sockets')
  );
}

test('no counter of a real guest falls from one second to the next', async (context) => {
  if (!canRun(context)) return;
  guestWithMonitor(context, { name: NAME, vcpus: 2 });
  const daemon = await startDaemon(context, ['--qmp.timeout-seconds=10', '--vcpu.statistics=all']);
  const user = (samples: Samples): number =>
    sample(samples, 'kvm_thread_cpu_seconds_total', {
      vm: NAME,
      thread: 'vcpu0',
      role: 'vcpu',
      mode: 'guest',
    });
  const first = await daemon.samples();
  let before = first;
  let compared = 0;
  for (let round = 0; round < SCRAPES; round++) {
    await sleep(1000);
    const now = await daemon.samples();
    compared += assertNoneFalls(before, now, `scrape ${round}`);
    before = now;
  }
  assert.ok(compared > SCRAPES * 100, `${compared} comparisons`);
  assert.ok(user(before) > user(first), 'the guest ran');
  assert.equal(await daemon.stop(), 0);
});
