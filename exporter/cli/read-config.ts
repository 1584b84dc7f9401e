import { printable } from '../../probes/printable.ts';
import { doubtsAbout } from '../config/doubts.ts';
import { namesOf, type RawValues, readConfigFile, resolveConfig } from '../config/load.ts';
import { type Config, type ConfigKey, options } from '../config/options.ts';
import { checkReports } from '../config/reports.ts';
import { checkRoots, checkStateDirectory } from '../config/roots.ts';

/** The configuration from flags, environment and file. Prints warnings. @throws ConfigError */
export function readConfig(flags: RawValues): Config {
  const path = flags['config.file'] ?? flags['config'];
  const file = typeof path === 'string' ? readConfigFile(path) : {};
  const config = resolveConfig(flagValues(flags), process.env, file);
  checkReports(config);
  for (const doubt of doubtsAbout(config, process.env)) {
    process.stderr.write(`kvm-telemetry: warning: ${printable(doubt)}\n`);
  }
  return config;
}

/** The same, for commands that read the host. @throws ConfigError also for unusable directories */
export function readHostConfig(flags: RawValues): Config {
  const config = readConfig(flags);
  checkRoots(config);
  checkStateDirectory(config);
  return config;
}

/** Flag values by configuration key. Commander stores `--collector.kvm-debugfs` as `collector.kvmDebugfs`. */
function flagValues(flags: RawValues): RawValues {
  return Object.fromEntries(
    (Object.keys(options) as ConfigKey[])
      .flatMap(namesOf)
      .map((name) => [name, flags[name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())]]),
  );
}
