import { pino } from 'pino';
import { readBuild } from '../exporter/cli/build.ts';
import { resolveConfig } from '../exporter/config/load.ts';
import { createOwnMetrics } from '../exporter/daemon/own-metrics.ts';
import { Telemetry } from '../exporter/daemon/telemetry.ts';
import { exposition } from '../exporter/http/exposition.ts';

const PATIENT_MS = 60_000;
const TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Output of `kvm-telemetry once` for a host tree, from this process: it is fast, and the mutation tester
 * covers it.
 * @param flags `--trace.backend=off`, `--no-collector.block`
 */
export async function onceInProcess(rootfs: string, ...flags: string[]): Promise<string> {
  const config = resolveConfig(
    { ...valuesOf(flags), 'path.rootfs': rootfs, 'state.dir': '/nonexistent' },
    {},
    {},
  );
  const own = createOwnMetrics();
  const telemetry = new Telemetry(config, pino({ level: 'silent' }), own, readBuild({}, false), false);
  try {
    await telemetry.discover();
    await telemetry.sample();
    await telemetry.judge();
    const { families } = await telemetry.scrape(PATIENT_MS);
    let text = '';
    for await (const chunk of exposition(families, own.registry, TEXT)) text += chunk;
    return text;
  } finally {
    await telemetry.stop();
  }
}

/** Keys as in the help: `--vcpu.statistics=all`. */
function valuesOf(flags: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    flags.map((flag) => {
      const [name = '', ...value] = flag.replace(/^--/, '').split('=');
      const key = name.replace(/^no-/, '').replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
      return [key, value.length > 0 ? value.join('=') : !name.startsWith('no-')];
    }),
  );
}
