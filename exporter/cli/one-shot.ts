import { pino } from 'pino';
import type { RawValues } from '../config/load.ts';
import type { Config } from '../config/options.ts';
import { createLogger } from '../daemon/logger.ts';
import { createOwnMetrics, type OwnMetrics } from '../daemon/own-metrics.ts';
import { Telemetry } from '../daemon/telemetry.ts';
import { readBuild } from './build.ts';
import { readHostConfig } from './read-config.ts';

/** Time limit of a collection that no client waits for. */
export const PATIENT_MS = 60_000;

export interface OneShot {
  readonly telemetry: Telemetry;
  readonly own: OwnMetrics;
  readonly config: Config;
}

/** The parts of the daemon for one collection. Logs go to standard error: standard output has the result. */
export function oneShot(flags: RawValues): OneShot {
  const config = readHostConfig(flags);
  const logger = createLogger(config, pino.destination({ fd: 2, sync: true }));
  const own = createOwnMetrics();
  const build = readBuild(process.env, false);
  return { telemetry: new Telemetry(config, { logger, own, build, learns: false }), own, config };
}
