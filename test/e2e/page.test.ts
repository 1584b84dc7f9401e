import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { hashSync } from 'bcryptjs';
import type { Page } from 'playwright-core';
import { SimulatedHost } from '../../lab/simhost/host.ts';
import { demo } from '../../lab/simhost/scenarios.ts';
import { type OpenedPage, openPage, startBrowser } from '../../testing/browser.ts';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { type Samples, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { served, simulatedRoot, steps } from '../../testing/simulated.ts';

/** Folder of the screenshots. */
const PICTURES = `${ROOT}dist/screenshots`;
mkdirSync(PICTURES, { recursive: true });

interface Shown {
  readonly host: SimulatedHost;
  readonly daemon: Daemon;
  open(path: string, options?: Parameters<typeof openPage>[2]): Promise<OpenedPage>;
  /** Another daemon, as after a restart: with the state of the first. */
  restart(): Promise<Daemon>;
  /** Runs the host in real time from now on. */
  live(): () => void;
}

/** The live page of a simulated host; undefined where there is no browser. */
async function show(
  context: TestContext,
  host: SimulatedHost = demo({ seed: 5 }).host,
  args: readonly string[] = [],
): Promise<Shown | undefined> {
  const browser = await startBrowser(context);
  if (browser === undefined) return undefined;
  steps(host, 3);
  const root = await served(context, host);
  const daemon = await startDaemon(context, [`--path.rootfs=${root}`, ...args]);
  const stops: (() => void)[] = [];
  context.after(() => {
    for (const stop of stops) stop();
  });
  return {
    host,
    daemon,
    open: (path, options) => openPage(browser, `${daemon.url}${path}`, options),
    async restart() {
      await daemon.stop();
      return startDaemon(context, [`--path.rootfs=${root}`, ...args], daemon.environment);
    },
    live() {
      const timer = setInterval(() => host.step(1), 1000);
      stops.push(() => clearInterval(timer));
      return () => clearInterval(timer);
    },
  };
}

function blameless({ complaints, foreign }: OpenedPage): void {
  assert.deepEqual({ complaints, foreign }, { complaints: [], foreign: [] });
}

async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).textContent()) ?? '';
}

async function rowText(page: Page, vm: string, column: string): Promise<string> {
  return textOf(page, `tr[data-vm="${vm}"] [data-column="${column}"]`);
}

/** A text of the page with its unit, as a number. */
function numberOf(text: string): number {
  const [, digits = '', unit = ''] = /^([\d.,]+)([kMG]?)$/.exec(text) ?? [];
  return Number(digits.replaceAll(',', '')) * ({ k: 1e3, M: 1e6, G: 1e9 }[unit] ?? 1);
}

/** The sum over the series of /metrics that a series of the page stands for; NaN if there is none. */
function inMetrics(samples: Samples, vm: string, name: string): number {
  const [, metric = '', , label, value] = /^([\w*]+)(\{(\w+)="(.*?)"(?:,.*)?\})?$/.exec(name) ?? [];
  const metrics = metric.includes('*')
    ? ['reads', 'writes', 'discards'].map((what) => metric.replace('*', what))
    : [metric];
  const second = /,vcpu="(.*)"\}$/.exec(name)?.[1];
  const labels = {
    vm,
    ...(label === undefined ? {} : { [label]: value ?? '' }),
    ...(second === undefined ? {} : { vcpu: second }),
  };
  const found = metrics.flatMap((each) => series(samples, each, labels));
  return found.length === 0 ? Number.NaN : found.reduce((sum, key) => sum + (samples.get(key) ?? 0), 0);
}

/** VMs of the table in its order. */
function vmsOf(page: Page): Promise<(string | null)[]> {
  return page
    .locator('#vms tbody tr[data-vm]')
    .evaluateAll((rows) => rows.map((row) => row.getAttribute('data-vm')));
}

/** Waits until the table starts with these VMs. */
async function first(page: Page, vms: readonly string[]): Promise<void> {
  await until(
    async () => isDeepStrictEqual((await vmsOf(page)).slice(0, vms.length), vms),
    `the table starts with ${vms.join(', ')}`,
  );
}

function focused(page: Page): Promise<string> {
  return page.evaluate<string>('document.activeElement.dataset.vm');
}

/** Rates of the table that differ from those of /metrics over the same seconds, in words. */
async function wrongRates(daemon: Daemon, page: Page, vms: readonly string[]): Promise<string[]> {
  const before = await daemon.samples();
  const began = performance.now();
  await sleep(8000);
  const seconds = (performance.now() - began) / 1000;
  const after = await daemon.samples();
  const wrong: string[] = [];
  for (const vm of vms) {
    const rate = (name: string): number =>
      (inMetrics(after, vm, name) - inMetrics(before, vm, name)) / seconds;
    const iops = rate('kvm_vm_disk_*_completed_total');
    for (const [column, expected] of [
      ['exits', rate('kvm_vm_exits_total')],
      ['iops', iops],
      ['kick', rate('kvm_vm_io_path_events_total{step="kick"}') / iops],
      ['vcpuCores', rate('kvm_thread_run_seconds_total{role="vcpu"}')],
    ] as const) {
      const text = await rowText(page, vm, column);
      if (!(Math.abs(numberOf(text) - expected) <= Math.max(0.02, expected * 0.3)))
        wrong.push(`${column} of ${vm}: ${text}, not ${expected}`);
    }
  }
  return wrong;
}

test('the page shows the counters of /metrics and their rates', async (context) => {
  const shown = await show(context);
  if (shown === undefined) return;
  const opened = await shown.open('/#/vm/db-a');
  const stop = shown.live();
  await opened.page.waitForSelector('.cpu .thread');
  const list = await shown.open('/');
  await list.page.waitForSelector('tr[data-vm="web"]');
  // The simulated host steps by a timer of this process: on a busy machine some steps are late.
  await until(async () => {
    const wrong = await wrongRates(shown.daemon, list.page, ['web', 'db-a', 'kv']);
    for (const each of wrong) context.diagnostic(each);
    return wrong.length === 0;
  }, 'the page shows the rates of /metrics');
  await list.page.screenshot({ path: `${PICTURES}/table-light.png` });

  // The host is stopped, so all values must be equal.
  stop();
  await opened.page.locator('details.counters summary').click();
  // No longer than rates reach back, but the page may be late on a busy machine.
  const matrix = opened.page.locator('table.kicks tbody td:not(:last-child)');
  await until(async () => (await matrix.allTextContents()).every((text) => text === '0'), 'rates of kicks');
  const samples = await shown.daemon.samples();
  const counters = await opened.page
    .locator('table.counters tbody tr')
    .evaluateAll((rows) =>
      rows.map((row) => [row.children[0]?.textContent ?? '', row.children[1]?.textContent ?? '']),
    );
  assert.ok(counters.length > 30, `${counters.length} counters`);
  for (const [name = '', text = ''] of counters) {
    const value = Number(text.replaceAll(',', ''));
    const expected = inMetrics(samples, 'db-a', name);
    assert.ok(Math.abs(value - expected) < 1e-6 * Math.max(1, expected), `${name}: ${text}, not ${expected}`);
  }
  const titles = await matrix.evaluateAll((cells) => cells.map((cell) => cell.getAttribute('title') ?? ''));
  const totals = titles.map((title) => Number(/: ([\d,]+)/.exec(title)?.[1]?.replaceAll(',', '')));
  const kicks = series(samples, 'kvm_virtqueue_kicks_total', { vm: 'db-a' }).map((key) => samples.get(key));
  assert.deepEqual(totals.sort(), kicks.map(Number).sort());
  blameless(opened);
  blameless(list);
});

test('keyboard and mouse sort, filter and open rows of the table', async (context) => {
  const shown = await show(context);
  if (shown === undefined) return;
  shown.live();
  const opened = await shown.open('/');
  const { page } = opened;
  // Rates take two collections.
  for (const vm of ['build', 'db-a', 'db-b', 'kv', 'mail', 'web'])
    await page.locator(`tr[data-vm="${vm}"] [data-column="iops"]`, { hasText: /\d/ }).waitFor();
  // A collection may see one VM a second later than another: the order is right in most frames, not in all.
  await first(page, ['build', 'db-a', 'db-b', 'kv', 'mail', 'web']);
  assert.equal(await page.locator('thead .c-condition').getAttribute('aria-sort'), 'descending');
  await page.getByRole('button', { name: 'IOPS' }).focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('thead .c-iops').getAttribute('aria-sort'), 'descending');
  assert.equal(await page.locator('thead .c-condition').getAttribute('aria-sort'), null);
  await first(page, ['build', 'kv']);
  assert.equal(await page.locator('#vms').getAttribute('aria-rowcount'), '7');

  await page.keyboard.press('/');
  await page.keyboard.type('db');
  await page.locator('.summary', { hasText: /^2 of 6 VMs/ }).waitFor();
  assert.deepEqual((await vmsOf(page)).sort(), ['db-a', 'db-b']);
  assert.equal(new URL(page.url()).hash, '#/?sort=-iops&q=db');
  await page.reload();
  await page.waitForSelector('tr[data-vm="db-a"]');
  assert.deepEqual((await vmsOf(page)).sort(), ['db-a', 'db-b'], 'the URL keeps the filter');
  assert.equal(await page.locator('thead .c-iops').getAttribute('aria-sort'), 'descending');
  await page.locator('#filter').fill('absent');
  await page.getByText('No VM contains “absent”.').waitFor();
  await page.getByRole('button', { name: 'Clear the filter' }).click();
  // The order of names does not change with the rates.
  await page.getByRole('button', { name: 'VM', exact: true }).click();
  await first(page, ['build', 'db-a']);
  await page.locator('tr[data-vm="build"]').focus();
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(page), 'db-a');
  await page.keyboard.press('End');
  const last = await focused(page);
  // Collections during this time do not move the focus.
  await sleep(2500);
  assert.equal(await focused(page), last);
  await page.keyboard.press('Enter');
  await page.waitForSelector('article.vm h1');
  assert.equal(await textOf(page, 'h1'), last);
  assert.equal(await page.title(), `${last} – kvm-telemetry`);
  await page.goBack();
  await page.waitForSelector('#vms');
  assert.equal(await page.locator('#state').getAttribute('aria-live'), 'polite');
  blameless(opened);
});

test('the stalled, the storming and the drifted VM come first, in words', async (context) => {
  const shown = await show(context);
  if (shown === undefined) return;
  shown.host.faults.exitStorm('web', 300_000);
  shown.host.faults.stallDisk(shown.host.vm('kv').spec.disks?.[0] ?? '', true);
  shown.host.faults.drift('build', 'widened');
  const stop = shown.live();
  for (const width of [1440, 1280, 820, 390]) {
    const opened: OpenedPage = await shown.open('/', { viewport: { width, height: 844 } });
    const page: Page = opened.page;
    const condition = (vm: string, text: RegExp): Promise<void> =>
      page.locator(`tr[data-vm="${vm}"] [data-column="condition"]`, { hasText: text }).waitFor();
    await condition('kv', /^stalled: [\d,]+ hang on \w+$/);
    await condition('web', /^exit storm: .*k exits\/s a vCPU$/);
    await condition('build', /^drift: \d+ thread/);
    const verdict = page.locator('tr[data-vm="build"] [data-column="verdict"]', {
      hasText: /^pinning (LOST \d\d:\d\d|in force \d+ \w+)/,
    });
    await verdict.waitFor({ timeout: 60_000 });
    const [left, right] = await verdict.evaluate((cell) => {
      const { left, right } = cell.getBoundingClientRect();
      return [left, right];
    });
    assert.ok((left ?? -1) >= 0 && (right ?? width + 1) <= width, `the verdict is cut at ${width}`);
    const cut = await page
      .locator('#vms tbody td.number')
      .evaluateAll((cells) =>
        cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent),
      );
    assert.deepEqual(cut, [], `numbers are cut at ${width}`);
    const isLongestCut = await page.locator('tr.is-exit-storm td.c-condition').evaluate((cell) => {
      const shownText = cell.textContent;
      cell.textContent = 'exit storm: 15.3k exits/s a vCPU +2';
      const isCut = cell.scrollWidth > cell.clientWidth;
      cell.textContent = shownText;
      return isCut;
    });
    assert.equal(isLongestCut, false, `the longest condition is cut at ${width}`);
    await first(page, ['kv', 'web', 'build']);
    const text = await page
      .locator('tr[data-vm="build"]')
      .evaluate((row) => row.getBoundingClientRect().bottom);
    assert.ok(width === 390 || text < 844, `the drifted VM is in the first screen at ${width}: ${text}`);
    assert.match(await textOf(page, '.summary'), /^6 VMs: 1 stalled, 1 exit storm, 1 drift$/);
    assert.match(
      await textOf(page, '.host'),
      /^simulated-host.*Linux 6\.8\.0-simulated · 128 CPUs on 2 NUMA nodes/,
    );
    await page.screenshot({ path: `${PICTURES}/worst-first-${width}.png` });
    blameless(opened);
  }
  // The daemon detects them itself, with or without an open page.
  const { page } = await shown.open('/');
  for (const [vm, kind, text] of [
    ['kv', 'stall_began', /kvstalled\d+ I\/Os hang/],
    ['web', 'storm_began', /webexit storm.*exits\/s a vCPU$/],
    ['build', 'drift_began', /builddrift: vcpu0 /],
  ] as const) {
    const item = page.locator(`.timeline li[data-kind="${kind}"]`, { hasText: text });
    await item.first().waitFor({ state: 'attached', timeout: 60_000 });
    const { events } = (await (await shown.daemon.get(`/api/v1/events?vm=${vm}`)).json()) as {
      events: { kind: string }[];
    };
    assert.ok(events.some((event) => event.kind === kind));
  }
  const inForce = /polling in force \d+ \w+( ·|$)/;
  const verdict = page.locator('tr[data-vm="db-b"] [data-column="verdict"]');
  await verdict.filter({ hasText: inForce }).waitFor({ timeout: 60_000 });
  const hour = (await (await shown.daemon.get('/api/v1/history?vm=kv')).json()) as {
    times: unknown[];
    series: Record<string, (number | null)[]>;
  };
  assert.ok(hour.times.length >= 2 && hour.series['iops']?.length === hour.times.length);

  stop();
  const { url } = await shown.restart();
  await page.goto(`${url}/`);
  const unjudged = /polling in force \d+ \w+ \(not judged since the exporter started\)/;
  await verdict.filter({ hasText: unjudged }).waitFor({ timeout: 60_000 });
  assert.match(
    (await verdict.textContent()) ?? '',
    /^pinning in force \d+ \w+ ·/,
    'masks are judged at once',
  );
});

test('nothing overflows in light mode, in dark mode or on a phone', async (context) => {
  const shown = await show(context, undefined, ['--web.grafana-url=https://grafana.example.org/g/']);
  if (shown === undefined) return;
  shown.live();
  for (const [name, options] of [
    [
      'phone',
      { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
    ],
    ['dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' }],
    ['light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
  ] as const) {
    const opened: OpenedPage = await shown.open('/', options);
    const { page } = opened;
    await page.waitForSelector('tr[data-vm="kv"]');
    const width = (): Promise<number> => page.evaluate<number>('document.documentElement.scrollWidth');
    assert.equal(await width(), options.viewport.width, name);
    await page.screenshot({ path: `${PICTURES}/table-${name}.png` });
    await page.locator('tr[data-vm="kv"] a').click();
    await page.waitForSelector('.u-wrap');
    await sleep(4000);
    assert.equal(await width(), options.viewport.width, name);
    assert.equal(
      await page.locator('#simulated').isVisible(),
      false,
      'served, not demo: it is not called simulated',
    );
    const link = page.getByRole('link', { name: 'Open in Grafana' });
    assert.equal(await link.getAttribute('href'), 'https://grafana.example.org/g/d/kvm-vm?var-vm=kv');
    await page.screenshot({ path: `${PICTURES}/vm-${name}.png`, fullPage: true });
    blameless(opened);
  }
});

test('names are shown as text, and empty states give instructions', async (context) => {
  const name = '<img src=x onerror=alert(1)>';
  const host = new SimulatedHost({ seed: 1, vms: [{ name, configuration: 'original', disks: ['nvme0n1'] }] });
  const shown = await show(context, host, ['--trace.backend=off', '--no-collector.qmp']);
  if (shown === undefined) return;
  const opened = await shown.open('/');
  const { page } = opened;
  page.on('dialog', () => assert.fail('a name was run'));
  await page.getByRole('link', { name }).waitFor();
  assert.match(await textOf(page, '.hints'), /The source trace below has the reason[\s\S]*-qmp unix:/);
  await page.getByRole('link', { name }).click();
  await page.waitForSelector('.cpu .thread');
  assert.equal(await textOf(page, 'h1'), name);
  assert.match(await textOf(page, '.charts'), /The source trace on the first page has the reason/);
  assert.equal(await page.locator('img').count(), 0);
  host.destroy(name);
  host.step(1);
  await page.getByText(`No VM with the name “${name}” runs on this host.`).waitFor();
  await page.goto(`${shown.daemon.url}/#/`);
  await page.getByText('No VM found on this host').waitFor();
  await page.goto(`${shown.daemon.url}/#/vm/%E0%A4%A`);
  await page.getByText('No VM found on this host').waitFor();
  blameless(opened);
});

test('the page reports that the daemon is unreachable, keeps its data and continues later', async (context) => {
  const shown = await show(context);
  if (shown === undefined) return;
  shown.live();
  const { page } = await shown.open('/');
  await page.waitForSelector('#state[data-state="live"]');
  await page.waitForSelector('tr[data-vm="web"]');
  assert.equal(await shown.daemon.stop(), 0);
  await page.waitForSelector('#state[data-state="lost"]');
  assert.match(await textOf(page, '#state'), /connection lost, reconnecting/);
  assert.equal(await page.locator('tr[data-vm]').count(), 6);
  const { port } = new URL(shown.daemon.url);
  const again = [
    `--path.rootfs=${await served(context, shown.host)}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  await startDaemon(context, again);
  await page.waitForSelector('#state[data-state="live"]');
});

test('a declared phase is listed and marked on the charts', async (context) => {
  const shown = await show(context, undefined, ['--inventory.schedule=*/2 * * * * *']);
  if (shown === undefined) return;
  shown.live();
  const { page } = await shown.open('/#/vm/kv');
  await page.waitForSelector('.u-wrap');
  await page.locator('p.verdict', { hasText: /^pinning in force \d+ s · / }).waitFor();
  const command = [`${ROOT}dist/exporter/main.js`, 'phase', 'set', 'kv', 'polling v2'];
  execFileSync(process.execPath, command, { env: shown.daemon.environment });
  await page.getByText('phase: polling v2').waitFor();
  const marked = page.locator('.plot[aria-label*="; polling v2 since "]');
  await marked.first().waitFor();
  assert.match(
    (await marked.first().getAttribute('aria-label')) ?? '',
    /, now: .*; polling v2 since \d\d:\d\d:\d\d$/,
  );
});

test('the browser needs the password once for the page and its events', async (context) => {
  const config = `${simulatedRoot(context)}/web.yml`;
  writeFileSync(config, `basic_auth_users: { alice: ${hashSync('secret', 4)} }\n`);
  const shown = await show(context, undefined, [`--web.config=${config}`]);
  if (shown === undefined) return;
  const opened = await shown.open('/', { httpCredentials: { username: 'alice', password: 'secret' } });
  await opened.page.waitForSelector('tr[data-vm="web"]');
  assert.equal((await shown.daemon.get('/api/v1/live')).status, 401);
  blameless(opened);
});
