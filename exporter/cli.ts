import { Command, CommanderError } from 'commander';
import { pino } from 'pino';
import { readBuild } from './build.ts';
import { ConfigError, flagOf, type RawValues, readConfigFile, resolveConfig } from './config/load.ts';
import { type Config, options } from './config/options.ts';
import { formatReport } from './doctor.ts';
import { createOwnMetrics } from './own-metrics.ts';
import { exposition } from './registry.ts';
import { serve } from './serve.ts';
import { Telemetry } from './telemetry.ts';

const EXIT_USAGE = 2;
const ONCE_TIMEOUT_MS = 60_000;

/** @returns the exit code: 0, 1 when doctor found something, 2 for a mistake of the caller */
export async function run(argv: readonly string[]): Promise<number> {
  let code = 0;
  const program = new Command('kvm-telemetry')
    .description('Prometheus telemetry for Linux KVM hosts: VM exits, threads, CPUs and block devices.')
    .version(readBuild(process.env, false).version)
    .exitOverride()
    .showHelpAfterError('(see --help)');

  withOptions(program.command('serve'))
    .description('serve /metrics')
    .action(async (flags: RawValues) => {
      await runServe(flags);
    });
  withOptions(program.command('once'))
    .description('print one collection and exit')
    .action(async (flags: RawValues) => {
      await runOnce(flags);
    });
  withOptions(program.command('doctor'))
    .description('tell which sources are usable, why not, and what would fix it')
    .option('--json', 'as JSON')
    .action(async (flags: RawValues) => {
      code = await runDoctor(flags);
    });

  try {
    await program.parseAsync([...argv]);
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`kvm-telemetry: ${error.message}\n`);
    return EXIT_USAGE;
  }
}

function withOptions(command: Command): Command {
  command.option('--config <file>', 'YAML file with the settings below, nested at the dots');
  for (const [key, { default: value, help }] of Object.entries(options)) {
    const shown = value === undefined ? help : `${help} (default: ${JSON.stringify(value)})`;
    if (key.startsWith('collector.')) command.option(`--no-${key.replaceAll('_', '-')}`, `without ${shown}`);
    else if (typeof value === 'boolean') command.option(flagOf(key), shown);
    else command.option(`${flagOf(key)} <value>`, shown);
  }
  return command;
}

/** Commander sets a `--no-` option that was not given to true, which must not beat the file. */
function givenFlags(flags: RawValues): RawValues {
  return Object.fromEntries(
    Object.entries(flags)
      .map(
        ([key, value]) =>
          [
            key.startsWith('collector.') ? key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`) : key,
            value,
          ] as const,
      )
      .filter(([key, value]) => !(key.startsWith('collector.') && value === true)),
  );
}

function readConfig(flags: RawValues): Config {
  const path = flags['config'] ?? process.env['KVM_TELEMETRY_CONFIG'];
  const file = typeof path === 'string' ? readConfigFile(path) : {};
  return resolveConfig(givenFlags(flags), process.env, file);
}

async function runServe(flags: RawValues): Promise<void> {
  const config = readConfig(flags);
  const logger = pino({ level: config['log.level'] });
  const own = createOwnMetrics();
  const build = readBuild(process.env, false);
  const telemetry = new Telemetry(config, logger, own, build);
  const running = await serve(config, { telemetry, own, logger, build, readConfig: () => readConfig(flags) });
  process.on('SIGHUP', () => void running.reload());
  await new Promise<void>((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      logger.info({ signal }, 'stopping');
      resolve();
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
  await running.stop();
}

/** Logs go to standard error: standard output is the result. */
function oneShot(flags: RawValues): { telemetry: Telemetry; own: ReturnType<typeof createOwnMetrics> } {
  const config = readConfig(flags);
  const logger = pino({ level: config['log.level'] }, pino.destination({ fd: 2, sync: true }));
  const own = createOwnMetrics();
  return { telemetry: new Telemetry(config, logger, own, readBuild(process.env, false)), own };
}

async function runOnce(flags: RawValues): Promise<void> {
  const { telemetry, own } = oneShot(flags);
  await telemetry.look();
  await telemetry.sample();
  const { families } = await telemetry.scrape(ONCE_TIMEOUT_MS);
  for await (const chunk of exposition(families, own.registry, 'text/plain; version=0.0.4; charset=utf-8')) {
    process.stdout.write(chunk);
  }
}

async function runDoctor(flags: RawValues): Promise<number> {
  const { telemetry } = oneShot({ ...flags, 'log.level': flags['log.level'] ?? 'fatal' });
  const report = await telemetry.doctor();
  process.stdout.write(
    flags['json'] === true ? `${JSON.stringify(report, undefined, 2)}\n` : formatReport(report),
  );
  return report.sources.every(({ usable }) => usable) ? 0 : 1;
}
