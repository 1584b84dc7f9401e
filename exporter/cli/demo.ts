import { join } from 'node:path';
import type { RawValues } from '../config/load.ts';
import { startDemoHost } from './demo-host.ts';
import { type DemoPrometheus, startPrometheus } from './demo-prometheus.ts';
import { runServe } from './serve.ts';

/** Serves a simulated host, and starts Prometheus if it is installed. The live page shows its alerts. */
export async function runDemo(flags: RawValues): Promise<void> {
  const host = await startDemoHost(String(flags['scenario']));
  const prometheus = flags['prometheus'] === false ? undefined : await startPrometheus();
  const ofDemo = { 'state.dir': join(host.rootfs, 'state'), 'web.prometheusUrl': prometheus?.url };
  try {
    await runServe(
      { ...ofDemo, ...flags, 'path.rootfs': host.rootfs },
      {
        simulated: true,
        onListening(port, print) {
          const url = `http://127.0.0.1:${port}`;
          print(`Simulated KVM host (not this machine): ${url}/ and ${url}/metrics. Press Ctrl-C to stop.\n`);
          if (prometheus === undefined) return;
          prometheus.scrape(`127.0.0.1:${port}`);
          print(`${prometheusLine(prometheus)}\n`);
        },
      },
    );
  } finally {
    prometheus?.stop();
    await host.stop();
  }
}

function prometheusLine({ url, missingRules }: DemoPrometheus): string {
  if (url === undefined)
    return 'The demo also starts Prometheus if it is installed: apt-get install prometheus';
  const alerts =
    missingRules === undefined ? `alerts: ${url}/alerts` : `no alerts: ${missingRules} is missing`;
  return `Prometheus that scrapes the demo: ${url}/ (${alerts})`;
}
