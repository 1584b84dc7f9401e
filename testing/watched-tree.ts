import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { resolveConfig } from '../exporter/config/load.ts';
import { createOwnMetrics } from '../exporter/daemon/own-metrics.ts';
import { Telemetry } from '../exporter/daemon/telemetry.ts';
import { exposition } from '../exporter/http/exposition.ts';
import type { HostTree } from './host-tree.ts';
import { parseSamples, type Samples } from './metrics.ts';

export interface WatchedTree {
  /** A full pass of the inventory. */
  discover(): Promise<void>;
  scrape(): Promise<Samples>;
}

/** One exporter that scrapes a tree again and again, while the test changes the tree. */
export async function watchedTree(
  context: TestContext,
  tree: HostTree,
  flags: Record<string, unknown> = {},
): Promise<WatchedTree> {
  const own = createOwnMetrics();
  const config = resolveConfig({ 'path.rootfs': tree.folder, ...flags }, {}, {});
  const logger = pino({ level: 'silent' });
  const build = { version: '0', revision: '', simulated: false };
  const telemetry = new Telemetry(config, { logger, own, build, learns: true });
  context.after(() => telemetry.stop());
  await telemetry.work.discover();
  return {
    discover: () => telemetry.work.discover(),
    async scrape() {
      const { families } = await telemetry.scrape(60_000);
      let text = '';
      const format = 'text/plain; version=0.0.4; charset=utf-8';
      for await (const chunk of exposition(families, own.registry, format)) text += chunk;
      return parseSamples(text);
    },
  };
}
