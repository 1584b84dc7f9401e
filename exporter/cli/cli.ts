import { Command, CommanderError } from 'commander';
import { ConfigError, type RawValues } from '../config/load.ts';
import { readBuild } from './build.ts';
import { runDemo } from './demo.ts';
import { runDoctor } from './doctor.ts';
import { withPaths, withSettings, withStateSettings } from './flags.ts';
import { OutputError, runOnce } from './once.ts';
import { runPhaseClear, runPhaseList, runPhaseSet } from './phase.ts';
import { runServe } from './serve.ts';

const EXIT_USAGE = 2;

/** @returns the exit code: 0, 1 if doctor found a problem or a command failed, 2 for a usage error */
export async function run(argv: readonly string[]): Promise<number> {
  let code = 0;
  const exitWith = (result: number): void => {
    code = result;
  };
  try {
    await program(exitWith).parseAsync([...argv]);
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (!(error instanceof ConfigError || error instanceof OutputError)) throw error;
    process.stderr.write(`kvm-telemetry: ${error.message}\n`);
    return error instanceof ConfigError ? EXIT_USAGE : 1;
  }
}

function program(exitWith: (code: number) => void): Command {
  const root = new Command('kvm-telemetry')
    .description('Prometheus telemetry for Linux KVM hosts: VM exits, threads, CPUs and block devices.')
    .version(readBuild(process.env, false).version)
    .exitOverride()
    .showHelpAfterError('(see --help)');
  withSettings(root.command('serve'))
    .description('serve /metrics')
    .action(async (flags: RawValues) => runServe(flags));
  withSettings(root.command('demo'))
    .description(
      'serve a simulated host: six VMs that go through the stages, with exit storms, drifts and stalls',
    )
    .option('--scenario <name>', 'simulation to run: demo, quiet, troubled, or a stage', 'demo')
    .option('--no-prometheus', 'do not start Prometheus')
    .action(async (flags: RawValues) => runDemo(flags));
  withSettings(root.command('once'))
    .description('collect once, print the metrics and exit')
    .action(async (flags: RawValues) => runOnce(flags));
  withSettings(root.command('doctor'))
    .description('check every data source; for each one that is not usable, print the reason and the fix')
    .option('--json', 'print JSON')
    .option(
      '--vm <name>',
      'check one VM: print its threads, CPUs, nodes, devices and queues, what is wrong, and the fix',
    )
    .action(async (flags: RawValues) => exitWith(await runDoctor(flags)));
  addPhase(
    root.command('phase').description('declare the patch phase of a VM, which the exporter cannot detect'),
    exitWith,
  );
  return root;
}

function addPhase(phase: Command, exitWith: (code: number) => void): void {
  withPaths(withStateSettings(phase.command('set')))
    .description("set a VM's phase, such as 'exitless-polling v2'")
    .argument('<vm>', "the VM's name or UUID")
    .argument('<phase>', 'any name; a name that begins with a stage declares that stage')
    .action(async (vm: string, name: string, flags: RawValues) =>
      exitWith(await runPhaseSet(vm, name, flags)),
    );
  withStateSettings(phase.command('clear'))
    .description("clear a VM's phase")
    .argument('<vm>', "the VM's name or UUID, as passed to phase set")
    .action(async (vm: string, flags: RawValues) => exitWith(await runPhaseClear(vm, flags)));
  withStateSettings(phase.command('list'))
    .description('list declared phases')
    .option('--json', 'print JSON')
    .action((flags: RawValues) => runPhaseList(flags));
}
