import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { demo } from '../../lab/simhost/scenarios.ts';
import { openPage, startBrowser } from '../../testing/browser.ts';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { served, steps } from '../../testing/simulated.ts';

const PICTURES = `${ROOT}dist/screenshots`;
/** Rounds of ten seconds before and after the change. */
const BEFORE_MS = 75_000;
const AFTER_MS = 90_000;

test('a VM with a quota is throttled on the page, and the quota is the first cause', async (context) => {
  const browser = await startBrowser(context);
  if (browser === undefined) return;
  mkdirSync(PICTURES, { recursive: true });
  const { host } = demo({ seed: 5 });
  steps(host, 3);
  const root = await served(context, host);
  const daemon = await startDaemon(context, [`--path.rootfs=${root}`]);
  const timer = setInterval(() => host.step(1), 1000);
  context.after(() => clearInterval(timer));
  const open = (path: string, width: number) =>
    openPage(browser, `${daemon.url}${path}`, { viewport: { width, height: 900 } });

  const { page: calm } = await open('/#/vm/db-b', 1440);
  await calm.waitForTimeout(BEFORE_MS);
  await calm
    .locator('.causes', { hasText: 'Its I/O is not worse than before.' })
    .waitFor({ timeout: 60_000 });
  host.faults.quota('db-b', 2);
  await calm
    .locator('.badge.bad', { hasText: /^throttled: [\d.]+ CPUs by its quota$/ })
    .waitFor({ timeout: 60_000 });
  await calm
    .locator('.causes li:first-child', {
      hasText: /^CPU quotaup to \d+%a CPU quota takes \d+% of the CPU time/,
    })
    .waitFor({ timeout: AFTER_MS });
  assert.match(
    (await calm.locator('.causes p.bad').textContent()) ?? '',
    /^Its I\/O fell from [\d.]+k to [\d.]+k a second \(-\d+%\) at \d\d:\d\d:\d\d\.$/,
  );
  for (const width of [1440, 390]) {
    const { page, complaints } = await open('/', width);
    await page
      .locator('tr.is-throttled[data-vm="db-b"] [data-column="condition"]', {
        hasText: /^throttled: [\d.]+ CPUs$/,
      })
      .waitFor();
    await page.screenshot({ path: `${PICTURES}/throttled-${width}.png` });
    await page.locator('tr[data-vm="db-b"] a').click();
    const list = page.locator('.causes li').first();
    await list.waitFor();
    assert.equal(await page.evaluate<number>('document.documentElement.scrollWidth'), width);
    await list.scrollIntoViewIfNeeded();
    await page.screenshot({ path: `${PICTURES}/causes-${width}.png` });
    assert.deepEqual(complaints, []);
  }
  const doctor = spawnSync(
    process.execPath,
    [
      ...[`${ROOT}dist/exporter/main.js`, 'doctor', '--vm', 'db-b', `--path.rootfs=${root}`],
      `--web.listen-address=${new URL(daemon.url).host}`,
    ],
    { encoding: 'utf8' },
  );
  assert.match(
    doctor.stdout,
    /^causes {4}Its I\/O fell from .*\n.*strongest first:\n {2}1\. CPU quota, up to \d+%/m,
  );
});
