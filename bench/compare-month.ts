import { parseArgs } from 'node:util';
import { measureCompare } from './compare-process.ts';
import { monthServer } from './month-server.ts';

// The time and memory of `compare` over 30 days of 50 VMs that are scraped every 15 s: all metrics, two stages. The server is
// an imitation that sums at once, so the time is that of compare.

const { values } = parseArgs({
  options: { vms: { type: 'string', default: '50' }, days: { type: 'string', default: '30' } },
});
const INTERVAL = 15;
const end = Math.floor(Date.now() / 1000 / INTERVAL) * INTERVAL;
const start = end - Number(values.days) * 86_400;

const server = await monthServer({ vms: Number(values.vms), start, end, interval: INTERVAL });
const { code, text } = await measureCompare([
  ...['--prometheus', server.url, '--vm', '*', '--by', 'stage', '--format', 'html'],
  ...['--from', `${start}`, '--to', `${end}`],
]);
server.stop();
console.log(
  `${values.days} days of ${values.vms} VMs: ${text}, ${server.requests} requests, ${(server.bytes / 1e6).toFixed(0)} MB of JSON`,
);
process.exitCode = code;
