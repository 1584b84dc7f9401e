import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { openPage, startBrowser } from '../../testing/browser.ts';
import { startDaemon } from '../../testing/daemon.ts';
import { untilExpected } from '../../testing/expected-affinity.ts';
import { parseSamples, sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { canRunGuests, runGuest, threadId } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

const NAME = 'kt-page';
/** The time after which a new thread's affinity is its expected affinity. */
const SETTLED_MS = 6000;

function canRun(context: TestContext): boolean {
  return (
    canRunGuests(context) &&
    hasTool(context, 'taskset', 'util-linux') &&
    has(context, cpus().length >= 2, 'the test needs two CPUs')
  );
}

/** Counters of the page, by series. */
async function counters(page: Page): Promise<Map<string, number>> {
  const rows = await page
    .locator('table.counters tbody tr')
    .evaluateAll((all) =>
      all.map((row) => [row.children[0]?.textContent ?? '', row.children[1]?.textContent ?? '']),
    );
  return new Map(rows.map(([name = '', text = '']) => [name, Number(text.replaceAll(',', ''))]));
}

test('the page shows the counters of /metrics, and a drift', async (context) => {
  const browser = canRun(context) ? await startBrowser(context) : undefined;
  if (browser === undefined) return;
  const guest = runGuest(context, { name: NAME, vcpus: 1 });
  const vcpu = threadId(guest.pid, 'CPU 0/KVM');
  const pin = (list: string): Buffer => execFileSync('taskset', ['-pc', list, vcpu]);
  const daemon = await startDaemon(context);
  const list = await openPage(browser, `${daemon.url}/`);
  const own = await openPage(browser, `${daemon.url}/#/vm/${NAME}`);
  await own.page.waitForSelector('.cpu .thread[data-thread="vcpu0"]');
  await own.page.locator('details.counters summary').click();
  await sleep(SETTLED_MS);

  const run = (text: string): number =>
    sample(parseSamples(text), 'kvm_thread_run_seconds_total', { vm: NAME, thread: 'vcpu0' });
  const before = run(await daemon.metrics());
  let shown = before;
  for (let i = 0; i < 60 && shown <= before; i++) {
    await sleep(500);
    shown = (await counters(own.page)).get('kvm_thread_run_seconds_total{role="vcpu"}') ?? Number.NaN;
  }
  const after = run(await daemon.metrics());
  assert.ok(before < shown && shown <= after, `${before}, ${shown}, ${after}`);

  // A mask that becomes narrower is a pin; one that becomes wider again is a drift.
  pin('0');
  await untilExpected(daemon, NAME, { vcpu0: '0' });
  assert.equal(await own.page.locator('.thread.drifting').count(), 0);
  const began = performance.now();
  pin(`0-${cpus().length - 1}`);
  await own.page.waitForSelector('.thread.drifting[data-thread="vcpu0"]', { timeout: 30_000 });
  await list.page.waitForSelector(`tr.drifting[data-vm="${NAME}"]`, { timeout: 30_000 });
  context.diagnostic(`a drift was shown after ${Math.round(performance.now() - began)} ms`);
  const drift = own.page.locator('.drifts li:has(.drift[data-thread="vcpu0"])');
  const repair = `taskset -pc 0 ${vcpu}`;
  assert.equal(await drift.locator('code').textContent(), repair);
  await own.page.evaluate('navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }');
  await drift.locator('button.copy').click();
  await own.page.waitForFunction((text) => Reflect.get(globalThis, 'copied') === text, repair);
  pin('0');
  await own.page.waitForSelector('.thread.drifting', { state: 'detached', timeout: 30_000 });

  // On a busy machine a collector fails in one scrape and not in the next, and the page is a second behind.
  await until(async () => {
    await sleep(200);
    const samples = await daemon.samples();
    const failing = series(samples, 'kvm_telemetry_collector_success').filter(
      (key) => samples.get(key) === 0,
    );
    return (await list.page.locator('.sources .chip.bad').count()) === failing.length;
  }, 'the page names as many failing sources as /metrics');
  assert.deepEqual([...list.complaints, ...own.complaints, ...list.foreign, ...own.foreign], []);
});
