import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startDemoHost } from '../exporter/cli/demo-host.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { startExporter } from './daemon.ts';
import { fetchMetrics } from './http.ts';
import { markdown } from './lab-host.ts';
import { cpuSeconds } from './process-cost.ts';

// Checks that a simulated host of 100 VMs with 8 vCPUs keeps up with real time while an exporter reads it.

const { values: options } = parseArgs({
  options: { scenario: { type: 'string', default: 'large' }, seconds: { type: 'string', default: '60' } },
});
const SCRAPE_S = 5;

exitBySignal();
const host = await startDemoHost(options.scenario);
const exporter = await startExporter(host.rootfs);
await fetchMetrics(exporter.port, true);
const before = mark();
while (mark().real - before.real < Number(options.seconds)) {
  await sleep(SCRAPE_S * 1000);
  await fetchMetrics(exporter.port, true);
}
const after = mark();
await exporter.stop();
await host.stop();

const real = after.real - before.real;
const share = (seconds: number): string => (seconds / real).toFixed(2);
process.stdout.write(
  markdown([
    ['scenario', 'seconds', 'virtual seconds', 'cores of the simulation', 'cores of the exporter'],
    [
      [options.scenario, real.toFixed(0), (after.virtual - before.virtual).toFixed(0)],
      [share(after.simulation - before.simulation), share(after.exporter - before.exporter)],
    ].flat(),
  ]),
);

/**
 * Seconds of the real and the virtual clock, and CPU seconds. This process does little else than simulate.
 */
function mark(): { real: number; virtual: number; simulation: number; exporter: number } {
  return {
    real: performance.now() / 1000,
    virtual: Number.parseFloat(readFileSync(`${host.rootfs}/proc/uptime`, 'latin1')),
    simulation: cpuSeconds(process.pid),
    exporter: cpuSeconds(exporter.pid),
  };
}
