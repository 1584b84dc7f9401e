import { ConfigError } from './load.ts';
import type { Config } from './options.ts';

/** Checks that a report has a source of samples. @throws ConfigError */
export function checkReports(config: Config): void {
  const hasSamples = config['report.prometheusUrl'] !== undefined || config['record.file'] !== undefined;
  if (config['report.schedule'] !== undefined && !hasSamples)
    throw new ConfigError(
      '--report.schedule: a report needs samples: give --report.prometheus-url or --record.file',
    );
}
