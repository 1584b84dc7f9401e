// Makes docs/compare.png: the report of `kvm-telemetry compare` on the simulated evaluation of the paper, five configurations
// of 20 minutes each. Needs prometheus, promtool and chromium; takes a minute.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { ready, root } from './prepare.mjs';

ready();
const load = (name) => import(`${root}dist/${name}.js`);
const { BlockSink } = await load('lab/history/chunks');
const { evaluation } = await load('lab/history/evaluation');
const { generateHistory } = await load('lab/history/generate');
const { serveBlocks } = await load('lab/history/prometheus');

const START = 1_795_752_000;
const STEP = 15;
const STAGE_MINUTES = 20;
const END = START + 5 * STAGE_MINUTES * 60;
const VIEW = { width: 1280, height: 1500 };

const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-compare-'));
const data = join(folder, 'data');
const state = join(folder, 'state');
let server;
let browser;
try {
  const sink = new BlockSink(folder, data);
  await generateHistory({
    scenario: evaluation(state, { stageMinutes: STAGE_MINUTES, isAlone: true }),
    hours: (END - START) / 3600,
    stepSeconds: STEP,
    tickSeconds: 5,
    seed: 1,
    start: START,
    sink,
    settings: { 'state.dir': state },
  });
  await sink.end();
  server = await serveBlocks(data);
  const report = join(folder, 'report.html');
  const time = ['--from', `${START}`, '--to', `${END}`];
  execFileSync(process.execPath, [
    ...[`${root}dist/exporter/main.js`, 'compare', '--prometheus', server.url, '--vm', 'db', '--by', 'phase'],
    ...[...time, '--format', 'html', '--out', report],
  ]);
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const page = await browser.newPage({ viewport: VIEW, colorScheme: 'light' });
  await page.goto(`file://${report}`);
  await page.screenshot({ path: `${root}docs/compare.png` });
} finally {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}
