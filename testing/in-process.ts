import type { TestContext } from 'node:test';
import { type Logger, pino } from 'pino';
import { readBuild } from '../exporter/cli/build.ts';
import { collectOnce } from '../exporter/cli/once.ts';
import { resolveConfig } from '../exporter/config/load.ts';
import { createOwnMetrics } from '../exporter/daemon/own-metrics.ts';
import { Telemetry } from '../exporter/daemon/telemetry.ts';
import { exposition } from '../exporter/http/exposition.ts';
import { inventoryJson } from '../exporter/inventory/inventory-json.ts';
import type { HostTree } from './host-tree.ts';
import { parseSamples, type Samples } from './metrics.ts';

const SCRAPE_MS = 120_000;
const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
/** A busy machine must not decide which sources respond in time. */
const PATIENT = { 'qmp.timeoutSeconds': 30, 'libvirt.timeoutSeconds': 30 };
const SILENT = pino({ level: 'silent' });

/**
 * The text of `kvm-telemetry once` for a host tree, from this process: it is fast, and the mutation tester
 * covers it.
 * @param flags `--trace.backend=off`, `--no-collector.block`
 */
export async function onceInProcess(rootfs: string, ...flags: string[]): Promise<string> {
  const own = createOwnMetrics();
  const config = resolveConfig(
    { ...PATIENT, ...valuesOf(flags), 'path.rootfs': rootfs, 'state.dir': '/nonexistent' },
    {},
    {},
  );
  const build = readBuild({}, false);
  const telemetry = new Telemetry(config, { logger: SILENT, own, build, learns: false });
  try {
    return await textOf(await collectOnce(telemetry, own));
  } finally {
    await telemetry.stop();
  }
}

async function textOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of chunks) text += chunk;
  return text;
}

export interface TreeExporter {
  /** A full pass of the inventory. */
  discover(): Promise<void>;
  scrape(): Promise<Samples>;
  /** Samples the threads and judges the techniques. */
  judge(): Promise<void>;
  /** The VMs as `/api/v1/inventory` has them. */
  inventory(): object;
  /** The same as text. */
  text(): Promise<string>;
}

/** One exporter that scrapes a tree several times, while the test changes the tree. It has found the VMs. */
export async function exporterOf(
  context: TestContext,
  tree: HostTree,
  flags: Readonly<Record<string, unknown>> = {},
  logger: Logger = SILENT,
): Promise<TreeExporter> {
  const own = createOwnMetrics();
  const config = resolveConfig({ ...PATIENT, 'path.rootfs': tree.folder, ...flags }, {}, {});
  const build = { version: '0', revision: '', simulated: false };
  const telemetry = new Telemetry(config, { logger, own, build, learns: true });
  context.after(() => telemetry.stop());
  const text = async (): Promise<string> => {
    const { families } = await telemetry.scrape(SCRAPE_MS);
    return textOf(exposition(families, own.registry, TEXT));
  };
  await telemetry.work.discover().catch(() => undefined);
  return {
    text,
    discover: () => telemetry.work.discover(),
    scrape: async () => parseSamples(await text()),
    async judge() {
      await telemetry.work.sample();
      await telemetry.work.judge();
    },
    inventory: () => inventoryJson(telemetry.inventory, (vm) => telemetry.visibilityOf(vm)),
  };
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
