import { Command } from 'commander';
import type { RawValues } from '../config/load.ts';
import { runAccept } from './accept.ts';
import { versionText } from './build.ts';
import type { CompareFlags } from './compare.ts';
import { withComparison } from './compare-options.ts';
import { runDoctor } from './doctor.ts';
import { withPaths, withSettings, withStateSettings } from './flags.ts';
import { addFleet } from './fleet-options.ts';
import { runOnce } from './once.ts';
import { runPhaseClear, runPhaseList, runPhaseSet } from './phase.ts';
import { runServe } from './serve.ts';

/**
 * The commands and their flags. The man page and the completion of shells are generated from them.
 *
 * @param exitWith sets the exit code
 */
export function program(exitWith: (code: number) => void): Command {
  const root = new Command('kvm-telemetry')
    .description('Prometheus telemetry for Linux KVM hosts: VM exits, threads, CPUs and block devices.')
    .version(versionText(process.env))
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({ outputError: () => undefined });
  withSettings(root.command('serve'))
    .description('serve /metrics')
    .action(async (flags: RawValues) => runServe(flags));
  withSettings(root.command('demo'))
    .description(
      'serve a simulated host: six VMs that go through the stages, with exit storms, drifts and stalls',
    )
    .option(
      '--scenario <name>',
      'simulation to run: demo, quiet, large, troubled, causes, a stage, sata_data_plane, sata_polling or sata_polling_saving',
      'demo',
    )
    .option('--no-prometheus', 'do not start Prometheus')
    .action(demo);
  withSettings(root.command('once'))
    .description('collect once, print the metrics and exit')
    .action(async (flags: RawValues) => runOnce(flags));
  withSettings(root.command('doctor'))
    .description('check every data source; for each one that is not usable, print the reason and the fix')
    .option('--json', 'print JSON')
    .option(
      '--vm <name>',
      'check one VM: print its threads, CPUs, nodes, devices and queues, the problems, and the fixes',
    )
    .action(async (flags: RawValues) => exitWith(await runDoctor(flags)));
  withComparison(root.command('compare'))
    .description('compare what VMs did before and after a change, with confidence intervals')
    .action(async (flags: CompareFlags) => exitWith(await compare(flags)));
  addPhase(
    root.command('phase').description('declare the patch phase of a VM, which the exporter cannot detect'),
    exitWith,
  );
  addFleet(root.command('fleet').description('configure a central Prometheus or vmagent for many hosts'));
  withPaths(withStateSettings(root.command('accept')))
    .description(
      'make the present placement of a running VM its expected affinity, and accept the loss of its techniques',
    )
    .argument('<vm>', "the VM's label, name, UUID or pid")
    .argument('[threads...]', 'only these: vcpu0, or with other CPUs vcpu0=4-5; vcpu0=any expects no pin')
    .action(async (vm: string, threads: string[], flags: RawValues) =>
      exitWith(await runAccept(vm, threads, flags)),
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

/** The daemon does not load the simulated host. */
async function demo(flags: RawValues): Promise<void> {
  const { runDemo } = await import('./demo.ts');
  await runDemo(flags);
}

/** Nor the code of `compare`. */
async function compare(flags: CompareFlags): Promise<number> {
  const { runCompare } = await import('./compare.ts');
  return runCompare(flags);
}
