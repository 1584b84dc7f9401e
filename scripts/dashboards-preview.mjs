// `npm run dashboards:preview`: the dashboards at http://127.0.0.1:3001, drawn by a small renderer of our own on the history of
// simulated hosts, which takes two minutes to make. With --prometheus URL on another Prometheus, without a wait. With --pictures
// the pictures of docs/dashboards.md are made, and it ends. docs/dashboards.md says what it is not.
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { build, install, root } from './prepare.mjs';

const PICTURES = [
  ['fleet', '', 1500],
  ['host', 'var-instance=kvm1:9954', 1500],
  ['vm', 'var-instance=kvm1:9954&var-vm=db', 1500],
  ['patch-effect', 'var-instance=kvm1:9954&var-vm=db', 1500],
  ['affinity', 'var-instance=kvm1:9954&var-vm=kv', 1500],
  ['exporter', '', 1500],
];
/** Table 1, of which the first line and the bars are enough. */
const TABLE_1 = 'var-instance=kvm1:9954&var-vm=oltp&var-before=data%20plane';
const HOSTS = [
  { instance: 'kvm1:9954', scenario: 'evaluation', seed: 1 },
  { instance: 'kvm2:9954', scenario: 'demo', seed: 2 },
  { instance: 'kvm3:9954', scenario: 'troubled', seed: 3 },
];

install();
build();
const { values } = parseArgs({
  options: {
    prometheus: { type: 'string' },
    port: { type: 'string', default: '3001' },
    pictures: { type: 'boolean', default: false },
  },
});
const { servePreview } = await import(`${root}dist/dashboards/preview/server.js`);
const { historyServer } = await import(`${root}dist/test/dashboards/history.js`);

const ends = [];
const end = async (code) => {
  for (const one of ends.reverse()) await one();
  process.exit(code);
};
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void end(0));

const START = Math.floor(Date.UTC(2026, 10, 22, 9) / 1000);
if (values.prometheus === undefined) console.error('making the history of three simulated hosts ...');
const server =
  values.prometheus === undefined
    ? await historyServer({ after: (one) => ends.push(one) }, HOSTS, START)
    : { url: values.prometheus };
await servePreview({ ...server, port: Number(values.port) });
const address = `http://127.0.0.1:${values.port}`;
console.log(`${address}/d/kvm-telemetry-fleet`);

if (values.pictures) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const picture = async (file, uid, query, width, clip) => {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    await page.goto(`${address}/d/kvm-telemetry-${uid}?${query}`);
    await page.waitForSelector('body[data-ready]', { timeout: 30_000 });
    await page.screenshot({ path: `${root}docs/dashboard-${file}.png`, fullPage: true, ...clip });
    await page.close();
  };
  for (const [name, query, width] of PICTURES) await picture(name, name, query, width, {});
  await picture('table-1', 'patch-effect', TABLE_1, 1500, {
    clip: { x: 0, y: 0, width: 1500, height: 1180 },
  });
  await browser.close();
  await end(0);
}
