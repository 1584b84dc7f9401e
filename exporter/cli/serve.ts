import type { RawValues } from '../config/load.ts';
import { guardProcess } from '../daemon/last-resort.ts';
import { logDestination } from '../daemon/log-destination.ts';
import { createLogger } from '../daemon/logger.ts';
import { createOwnMetrics } from '../daemon/own-metrics.ts';
import { type Running, serve } from '../daemon/serve.ts';
import { Telemetry } from '../daemon/telemetry.ts';
import { readBuild } from './build.ts';
import { readConfig, readHostConfig } from './read-config.ts';

const STDOUT = 1;
/** Time limit for writing the last log lines to a slow reader. */
const LOG_END_MS = 500;

export interface ServeOptions {
  /** Whether the host is simulated. */
  readonly simulated: boolean;
  /** Called when the daemon listens. `print` writes to the log's destination. */
  onListening(port: number, print: (text: string) => void): void | Promise<void>;
}

const NORMAL: ServeOptions = { simulated: false, onListening: () => undefined };

/** Runs the daemon until SIGTERM or SIGINT. */
export async function runServe(flags: RawValues, { simulated, onListening } = NORMAL): Promise<void> {
  const config = readHostConfig(flags);
  const own = createOwnMetrics();
  const log = logDestination(STDOUT, (lines) => own.logLinesDropped.inc(lines));
  const logger = createLogger(config, log);
  guardProcess(logger);
  const build = readBuild(process.env, simulated);
  const telemetry = new Telemetry(config, { logger, own, build, learns: true });
  // Handle SIGHUP from here on: a reload during startup must not terminate the daemon.
  let running: Running | undefined;
  process.on('SIGHUP', () => void running?.reload());
  const stopped = new Promise<void>((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      logger.info({ signal }, 'stopping');
      resolve();
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
  try {
    running = await serve(config, { telemetry, own, logger, readConfig: () => readConfig(flags) });
    await onListening(running.port, (text) => log.write(text));
    await stopped;
    await running.stop();
  } finally {
    await log.end(LOG_END_MS);
  }
}
