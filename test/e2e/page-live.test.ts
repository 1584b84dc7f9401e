import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { quiet } from '../../lab/simhost/scenarios.ts';
import { openPage, startBrowser } from '../../testing/browser.ts';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { parseSamples, sample, series } from '../../testing/metrics.ts';
import { canRunGuests, runGuest, threadId } from '../../testing/qemu.ts';
import { simulatedRoot } from '../../testing/simulated.ts';
import { has, hasTool } from '../../testing/tools.ts';

const NAME = 'kt-page';
/** The time after which a new thread's affinity is its expected affinity. */
const SETTLED_MS = 6000;
const VMS = 500;

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
  await sleep(3000);
  assert.equal(await own.page.locator('.thread.drifting').count(), 0);
  const began = performance.now();
  pin(`0-${cpus().length - 1}`);
  await own.page.waitForSelector('.thread.drifting[data-thread="vcpu0"]', { timeout: 30_000 });
  await list.page.waitForSelector(`tr.drifting[data-vm="${NAME}"]`, { timeout: 30_000 });
  context.diagnostic(`a drift was shown after ${Math.round(performance.now() - began)} ms`);
  const drift = own.page.locator('.drifts li:has(.drift[data-thread="vcpu0"])');
  assert.equal(await drift.locator('code').textContent(), `taskset -pc 0 ${vcpu}`);
  pin('0');
  await own.page.waitForSelector('.thread.drifting', { state: 'detached', timeout: 30_000 });

  const samples = await daemon.samples();
  const failing = series(samples, 'kvm_telemetry_collector_success').filter((key) => samples.get(key) === 0);
  assert.equal(await list.page.locator('.sources .chip.bad').count(), failing.length);
  assert.deepEqual([...list.complaints, ...own.complaints, ...list.foreign, ...own.foreign], []);
});

/** A host on which the load of each VM's first vCPU changes every second. */
function movingHost(context: TestContext): string {
  const rootfs = simulatedRoot(context);
  const { host } = quiet({ seed: 1 }, VMS, 4, { qmp: false, libvirt: false });
  host.step(1);
  host.writeTo(rootfs);
  host.close();
  const vcpus = host.vms.map(({ pid, vcpus }) => `proc/${pid}/task/${vcpus[0]?.thread.tid}`);
  const busy = new Float64Array(VMS);
  let time = 0;
  const timer = setInterval(() => {
    time++;
    for (const [i, folder] of vcpus.entries()) {
      busy[i] = (busy[i] ?? 0) + 1e9 * (0.5 + 0.4 * Math.sin(i + time / 3));
      const ns = Math.round(busy[i] ?? 0);
      writeFileSync(`${rootfs}/${folder}/schedstat`, `${ns} ${Math.round(ns / 9)} 5\n`);
    }
  }, 1000);
  context.after(() => clearInterval(timer));
  return rootfs;
}

test('with 500 VMs, the page renders only the visible rows', async (context) => {
  const browser = await startBrowser(context);
  if (browser === undefined) return;
  const daemon = await startDaemon(context, [`--path.rootfs=${movingHost(context)}`]);
  const opened = await openPage(browser, `${daemon.url}/`);
  const { page } = opened;
  await page.waitForSelector('tr[data-vm]', { timeout: 30_000 });
  await page.evaluate(
    'window.long = []; new PerformanceObserver((list) => window.long.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" })',
  );
  const names = (): Promise<string[]> =>
    page.locator('tr[data-vm]').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-vm') ?? ''));
  assert.ok((await names()).length < 80, 'rows that are not visible are not in the document');
  assert.equal(await page.locator('#vms').getAttribute('aria-rowcount'), String(VMS + 1));
  await page.getByRole('button', { name: 'vCPU' }).click();
  const orders = new Set<string>();
  for (let i = 0; i < 20; i++) {
    await sleep(1000);
    orders.add((await names()).slice(0, 10).join(' '));
    if (i % 4 === 3)
      await page.locator('.scroller').evaluate((element, top) => element.scrollTo(0, top), i * 700);
  }
  assert.ok(orders.size > 2, 'the rows follow the numbers');
  await page.locator('#filter').fill('vm-0321');
  assert.deepEqual(await names(), ['vm-0321']);
  await page.locator('#filter').fill('');
  await page.locator('.scroller').evaluate((element) => element.scrollTo(0, 1e9));
  await sleep(300);
  const last = await page.locator('tr[data-vm]').last().getAttribute('aria-rowindex');
  assert.equal(last, String(VMS + 1));
  const long = await page.evaluate<number[]>('window.long');
  context.diagnostic(`long tasks in 20 s: ${long.map(Math.round).join(', ') || 'none'}`);
  assert.deepEqual([...opened.complaints, ...opened.foreign], []);
  await page.screenshot({ path: `${ROOT}dist/screenshots/table-500.png` });
});
