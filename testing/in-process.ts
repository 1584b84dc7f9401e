import { pino } from 'pino';
import { readBuild } from '../exporter/cli/build.ts';
import { collectOnce } from '../exporter/cli/once.ts';
import { resolveConfig } from '../exporter/config/load.ts';
import { createOwnMetrics } from '../exporter/daemon/own-metrics.ts';
import { Telemetry } from '../exporter/daemon/telemetry.ts';

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
  const logger = pino({ level: 'silent' });
  const telemetry = new Telemetry(config, { logger, own, build: readBuild({}, false), learns: false });
  try {
    let text = '';
    for await (const chunk of await collectOnce(telemetry, own)) text += chunk;
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
