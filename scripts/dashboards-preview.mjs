// `npm run dashboards:preview`: serves the dashboards at http://127.0.0.1:3001, drawn by the project's own
// small renderer from the history of simulated hosts, which takes two minutes to generate. --prometheus URL
// uses another Prometheus at once. --pictures makes the pictures of docs/dashboards.md and exits.
// docs/dashboards.md lists the limits of the preview.
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { ready, root } from './prepare.mjs';

const WIDTH = 1340;
/** Pixels. A taller dashboard becomes two pictures. */
const LONG = 2450;
const PICTURES = [
  ['fleet', ''],
  ['host', 'var-instance=kvm1:9954'],
  ['vm', 'var-instance=kvm1:9954&var-vm=db'],
  ['patch-effect', 'var-instance=kvm1:9954&var-vm=db'],
  ['affinity', 'var-instance=kvm1:9954&var-vm=kv'],
  ['exporter', ''],
];
/** Table 1; the first rows are enough. */
const TABLE_1 = 'var-instance=kvm1:9954&var-vm=oltp&var-before=data%20plane';
const HOSTS = [
  { instance: 'kvm1:9954', scenario: 'evaluation', seed: 1 },
  { instance: 'kvm2:9954', scenario: 'demo', seed: 2 },
  { instance: 'kvm3:9954', scenario: 'troubled', seed: 3 },
];

ready();
const { values } = parseArgs({
  options: {
    prometheus: { type: 'string' },
    port: { type: 'string', default: '3001' },
    pictures: { type: 'boolean', default: false },
  },
});
const { servePreview } = await import(`${root}dist/dashboards/preview/server.js`);
const { uidOf } = await import(`${root}dist/dashboards/links.js`);
const { historyServer } = await import(`${root}dist/testing/history.js`);

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
console.log(address);

if (values.pictures) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const open = async (uid, query) => {
    const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 } });
    await page.goto(`${address}/d/${uidOf(uid)}?${query}`);
    await page.waitForSelector('body[data-ready]', { timeout: 30_000 });
    return page;
  };
  const shoot = (page, file, from, to) =>
    page.screenshot({
      path: `${root}docs/dashboard-${file}.png`,
      fullPage: true,
      clip: { x: 0, y: from, width: WIDTH, height: to - from },
    });
  // Splits a tall dashboard into two pictures at the row nearest to the middle.
  const picture = async (name, query) => {
    const page = await open(name, query);
    const { end: bottom, rows } = await page.evaluate(() => ({
      end: document.documentElement.scrollHeight,
      rows: [...document.querySelectorAll('section.row')].map((row) => row.getBoundingClientRect().top),
    }));
    const far = (y) => Math.abs(y - bottom / 2);
    const middle = bottom > LONG ? rows.reduce((a, b) => (far(a) < far(b) ? a : b)) : bottom;
    await shoot(page, name, 0, middle);
    if (middle < bottom) await shoot(page, `${name}-2`, middle, bottom);
    await page.close();
  };
  for (const [name, query] of PICTURES) await picture(name, query);
  const table1 = await open('patch-effect', TABLE_1);
  const [, , overTime] = await table1.locator('section.row').all();
  await shoot(table1, 'table-1', 0, (await overTime.boundingBox()).y);
  await browser.close();
  await end(0);
}
