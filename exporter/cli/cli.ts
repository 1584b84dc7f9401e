import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command, CommanderError, Option } from 'commander';
import { pino } from 'pino';
import { printable } from '../../probes/printable.ts';
import { Phases } from '../assessment/stage/phases.ts';
import { doubtsAbout } from '../config/doubts.ts';
import {
  ConfigError,
  flagOf,
  isOnlyInFile,
  type RawValues,
  readConfigFile,
  resolveConfig,
} from '../config/load.ts';
import { type Config, type ConfigKey, options } from '../config/options.ts';
import { checkRoots, checkStateDirectory } from '../config/roots.ts';
import { guardProcess } from '../daemon/last-resort.ts';
import { logDestination } from '../daemon/log-destination.ts';
import { createOwnMetrics } from '../daemon/own-metrics.ts';
import { type Running, serve } from '../daemon/serve.ts';
import { Telemetry } from '../daemon/telemetry.ts';
import { formatReport } from '../doctor/sources.ts';
import { formatVmReport } from '../doctor/vm.ts';
import { exposition } from '../http/exposition.ts';
import { readBuild } from './build.ts';
import { startDemoHost } from './demo.ts';
import { type DemoPrometheus, startPrometheus } from './demo-prometheus.ts';
import { clearPhase, listPhases, setPhase } from './phase.ts';

const EXIT_USAGE = 2;
const ONCE_TIMEOUT_MS = 60_000;
const STDOUT = 1;
/** Time limit for writing the last log lines to a slow reader. */
const LOG_END_MS = 500;

/** @returns the exit code: 0, 1 if doctor found a problem, 2 for a usage error */
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
  withOptions(program.command('demo'))
    .description(
      'serve a simulated host: six VMs that go through the stages, with exit storms, drifts and stalls',
    )
    .option('--scenario <name>', 'simulation to run: demo, quiet, troubled, or a stage', 'demo')
    .option('--no-prometheus', 'do not start Prometheus')
    .action(async (flags: RawValues) => {
      await runDemo(flags);
    });
  withOptions(program.command('once'))
    .description('collect once, print the metrics and exit')
    .action(async (flags: RawValues) => {
      await runOnce(flags);
    });
  withOptions(program.command('doctor'))
    .description('check every data source; for each one that is not usable, print the reason and the fix')
    .option('--json', 'print JSON')
    .option(
      '--vm <name>',
      'check one VM: print its threads, CPUs, nodes, devices and queues, what is wrong, and the fix',
    )
    .action(async (flags: RawValues) => {
      code = await runDoctor(flags);
    });

  const phase = program
    .command('phase')
    .description('declare the patch phase of a VM, which the exporter cannot detect');
  withPathOptions(withStateOptions(phase.command('set')))
    .description("set a VM's phase, such as 'exitless-polling v2'")
    .argument('<vm>', "the VM's name or UUID")
    .argument('<phase>', 'any name; a name that begins with a stage declares that stage')
    .action(async (vm: string, name: string, flags: RawValues) => {
      const config = readConfig(flags);
      code = await setPhase(config, phasesOf(config), vm, name);
    });
  withStateOptions(phase.command('clear'))
    .description("clear a VM's phase")
    .argument('<vm>', "the VM's name or UUID, as passed to phase set")
    .action(async (vm: string, flags: RawValues) => {
      code = await clearPhase(phasesOf(readConfig(flags)), vm);
    });
  withStateOptions(phase.command('list'))
    .description('list declared phases')
    .option('--json', 'print JSON')
    .action((flags: RawValues) => {
      process.stdout.write(listPhases(phasesOf(readConfig(flags)), flags['json'] === true));
    });

  try {
    await program.parseAsync([...argv]);
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (!(error instanceof ConfigError || error instanceof OutputError)) throw error;
    process.stderr.write(`kvm-telemetry: ${error.message}\n`);
    return error instanceof ConfigError ? EXIT_USAGE : 1;
  }
}

/**
 * Each boolean has a positive and a negative flag, so that a flag can override the file in both directions.
 * `--help` lists only the flag that changes the default.
 */
function withOptions(command: Command): Command {
  command.option(
    '--config <file>',
    'YAML file with the settings below; each dot in a name is a nesting level',
  );
  for (const [key, { default: value, help }] of Object.entries(options)) {
    if (isOnlyInFile(key as ConfigKey)) continue;
    const flag = flagOf(key);
    if (typeof value === 'boolean') {
      const negative = flag.replace('--', '--no-');
      command.addOption(new Option(flag, help).hideHelp(value));
      command.addOption(
        new Option(negative, `Do not ${help[0]?.toLowerCase()}${help.slice(1)}`).hideHelp(!value),
      );
    } else {
      const shown = value === undefined ? help : `${help} (default: ${JSON.stringify(value)})`;
      command.option(`${flag} <value>`, shown);
    }
  }
  return command;
}

/** Options of commands that only write state. */
function withStateOptions(command: Command): Command {
  return command
    .option('--config <file>', 'YAML file with the settings of the serve command')
    .option(`${flagOf('state.dir')} <value>`, options['state.dir'].help);
}

/** Path options, for commands that check whether a VM is running. */
function withPathOptions(command: Command): Command {
  for (const [key, { help }] of Object.entries(options)) {
    if (key.startsWith('path.')) command.option(`${flagOf(key)} <value>`, help);
  }
  return command;
}

function phasesOf(config: Config): Phases {
  checkStateDirectory(config);
  const warn = (fields: object, message: string): void =>
    void process.stderr.write(`kvm-telemetry: ${message}: ${JSON.stringify(fields)}\n`);
  return new Phases(config['state.dir'], { info: () => undefined, warn });
}

/** Flag values by configuration key. Commander stores `--collector.kvm-debugfs` as `collector.kvmDebugfs`. */
function flagValues(flags: RawValues): RawValues {
  return Object.fromEntries(
    Object.keys(options).map((key) => [
      key,
      flags[key.replace(/_(.)/g, (_, letter) => letter.toUpperCase())],
    ]),
  );
}

function readConfig(flags: RawValues): Config {
  const path = flags['config'] ?? process.env['KVM_TELEMETRY_CONFIG'];
  const file = typeof path === 'string' ? readConfigFile(path) : {};
  const config = resolveConfig(flagValues(flags), process.env, file);
  for (const doubt of doubtsAbout(config, process.env)) {
    process.stderr.write(`kvm-telemetry: warning: ${printable(doubt)}\n`);
  }
  return config;
}

function prometheusLine({ url, missingRules }: DemoPrometheus): string {
  if (url === undefined)
    return 'If Prometheus is installed (apt-get install prometheus), the demo starts it too.';
  const alerts =
    missingRules === undefined ? `its alerts: ${url}/alerts` : `no alerts, as ${missingRules} is missing`;
  return `Prometheus, scraping it: ${url}/ (${alerts})`;
}

async function runDemo(flags: RawValues): Promise<void> {
  const host = await startDemoHost(typeof flags['scenario'] === 'string' ? flags['scenario'] : 'demo');
  let prometheus: DemoPrometheus | undefined;
  const stateDir = join(host.rootfs, 'state');
  try {
    await runServe(
      { 'state.dir': stateDir, ...flags, 'path.rootfs': host.rootfs },
      true,
      async (port, print) => {
        const url = `http://127.0.0.1:${port}`;
        print(`Simulated KVM host (not this machine): ${url}/ and ${url}/metrics. Press Ctrl-C to stop.\n`);
        if (flags['prometheus'] === false) return;
        prometheus = await startPrometheus(`127.0.0.1:${port}`);
        print(`${prometheusLine(prometheus)}\n`);
      },
    );
  } finally {
    prometheus?.stop();
    await host.stop();
  }
}

async function runServe(
  flags: RawValues,
  simulated = false,
  onListening: (port: number, print: (text: string) => void) => void | Promise<void> = () => undefined,
): Promise<void> {
  const config = readConfig(flags);
  checkRoots(config);
  checkStateDirectory(config);
  const own = createOwnMetrics();
  const log = logDestination(STDOUT, (lines) => own.logLinesDropped.inc(lines));
  const logger = pino({ level: config['log.level'] }, log);
  guardProcess(logger);
  const build = readBuild(process.env, simulated);
  const telemetry = new Telemetry(config, logger, own, build);
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

/** Logs go to standard error because standard output carries the result. */
function oneShot(flags: RawValues): { telemetry: Telemetry; own: ReturnType<typeof createOwnMetrics> } {
  const config = readConfig(flags);
  checkRoots(config);
  checkStateDirectory(config);
  const logger = pino({ level: config['log.level'] }, pino.destination({ fd: 2, sync: true }));
  const own = createOwnMetrics();
  return { telemetry: new Telemetry(config, logger, own, readBuild(process.env, false), false), own };
}

async function runOnce(flags: RawValues): Promise<void> {
  const { telemetry, own } = oneShot(flags);
  await telemetry.discover();
  await telemetry.sample();
  await telemetry.judge();
  const { families } = await telemetry.scrape(ONCE_TIMEOUT_MS);
  await print(exposition(families, own.registry, 'text/plain; version=0.0.4; charset=utf-8'));
}

/** @throws OutputError unless the reader, such as `head`, closed the pipe early */
async function print(chunks: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(chunks, process.stdout, { end: false });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EPIPE') throw new OutputError(`cannot write to standard output: ${code ?? message}`);
  }
}

class OutputError extends Error {}

async function runDoctor(flags: RawValues): Promise<number> {
  const { telemetry } = oneShot({ ...flags, 'log.level': flags['log.level'] ?? 'fatal' });
  if (typeof flags['vm'] === 'string') return doctorVm(telemetry, flags['vm'], flags['json'] === true);
  const report = await telemetry.doctor();
  process.stdout.write(
    flags['json'] === true ? `${JSON.stringify(report, undefined, 2)}\n` : formatReport(report),
  );
  return report.sources.every(({ usable }) => usable) ? 0 : 1;
}

async function doctorVm(telemetry: Telemetry, name: string, asJson: boolean): Promise<number> {
  const report = await telemetry.doctorVm(name);
  await telemetry.stop();
  if (report === undefined) {
    throw new ConfigError(
      `--vm: no VM ${JSON.stringify(name)}: give a vm label, a name or a UUID of kvm_vm_info`,
    );
  }
  process.stdout.write(asJson ? `${JSON.stringify(report, undefined, 2)}\n` : formatVmReport(report));
  return report.drifts.length === 0 ? 0 : 1;
}
