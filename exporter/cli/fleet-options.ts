import { type Command, Option } from 'commander';
import type { FleetTargetsFlags } from './fleet-targets.ts';

const REPEATABLE: Readonly<Record<string, string>> = {
  '--list <file>':
    'File with a host in each line: kvm1, 10.0.0.7:9954 instance=kvm7 rack=r2. - is standard input.',
  '--ansible <file>': 'What ansible-inventory --list prints. - is standard input.',
  '--libvirt <uri>': 'libvirt connection URI, such as qemu+ssh://kvm1.example.org/system: its host.',
  '--label <name=value>': 'Label for all hosts, such as cluster=east.',
};

/** Adds the commands of `fleet`. */
export function addFleet(fleet: Command): void {
  const targets = fleet
    .command('targets')
    .description('write the hosts of an inventory as targets for file_sd of Prometheus and vmagent');
  for (const [name, help] of Object.entries(REPEATABLE))
    targets.addOption(
      new Option(name, `${help} Give the flag several times for several.`).argParser(appended),
    );
  targets
    .option('--group <name>', 'Group of the Ansible inventory.', 'all')
    .option('--port <number>', 'Port of the exporters.', '9954')
    .option(
      '--out <file>',
      'File to replace, such as /etc/kvm-telemetry/targets/east.json. (default: standard output)',
    )
    .action(async (flags: FleetTargetsFlags) => {
      const { runFleetTargets } = await import('./fleet-targets.ts');
      await runFleetTargets(flags);
    });
}

function appended(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
