import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { quiet } from '../../lab/simhost/scenarios.ts';
import { openPage, startBrowser } from '../../testing/browser.ts';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { until } from '../../testing/patience.ts';
import { simulatedRoot } from '../../testing/simulated.ts';

const VMS = 500;

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
  await page.waitForSelector('tr[data-vm]');
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
  await until(async () => isDeepStrictEqual(await names(), ['vm-0321']), 'the filter shows one VM');
  await page.locator('#filter').fill('');
  await page.locator('.scroller').evaluate((element) => element.scrollTo(0, 1e9));
  await page.waitForSelector(`tr[data-vm][aria-rowindex="${VMS + 1}"]`);
  const long = await page.evaluate<number[]>('window.long');
  context.diagnostic(`long tasks in 20 s: ${long.map(Math.round).join(', ') || 'none'}`);
  assert.deepEqual([...opened.complaints, ...opened.foreign], []);
  await page.screenshot({ path: `${ROOT}dist/screenshots/table-500.png` });
});
