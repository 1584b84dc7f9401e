import { type Command, Option } from 'commander';
import type { Kind } from '../config/kinds.ts';
import { flagOf, isOnlyInFile, namesOf } from '../config/load.ts';
import { type ConfigKey, options } from '../config/options.ts';

/** Headings of `--help`, by the first word of the key. */
const GROUPS: Readonly<Record<string, string>> = {
  web: 'HTTP:',
  log: 'Logging:',
  path: 'Paths of the host:',
  inventory: 'Schedules and state:',
  sampler: 'Schedules and state:',
  state: 'Schedules and state:',
  record: 'Recordings and reports:',
  report: 'Recordings and reports:',
  bpf: 'Sources:',
  qmp: 'Sources:',
  libvirt: 'Sources:',
  trace: 'Trace events:',
  affinity: 'Affinity:',
  profile: 'Series:',
  metrics: 'Series:',
  vcpu: 'Series:',
  limits: 'Series:',
  block: 'Series:',
  collector: 'Collectors:',
};

/** Adds `--config`, and its name in other exporters. */
function withConfigFile(command: Command, help: string): Command {
  return command
    .addOption(new Option('--config <file>', help).env('KVM_TELEMETRY_CONFIG'))
    .addOption(new Option('--config.file <file>', 'Same as --config.').hideHelp());
}

/**
 * Adds all settings. Each boolean has a positive and a negative flag, so that a flag can override the file in
 * both directions. `--help` lists only the flag that changes the default.
 */
export function withSettings(command: Command): Command {
  withConfigFile(command, 'YAML file with the settings below; each dot in a name is a nesting level');
  for (const key of Object.keys(options) as ConfigKey[]) {
    if (isOnlyInFile(key)) continue;
    for (const option of optionsOf(key)) command.addOption(option.helpGroup(groupOf(key)));
  }
  return command;
}

function groupOf(key: ConfigKey): string {
  return GROUPS[key.replace(/\..*/, '')] ?? 'Options:';
}

function optionsOf(key: ConfigKey): Option[] {
  const { default: value, help } = options[key];
  return typeof value === 'boolean' ? switchesOf(key, value, help) : namesOf(key).map(settingOption(key));
}

function switchesOf(key: ConfigKey, value: boolean, help: string): Option[] {
  const flag = flagOf(key);
  const negativeHelp = `Do not ${help[0]?.toLowerCase()}${help.slice(1)}`;
  return [
    new Option(flag, help).hideHelp(value),
    new Option(flag.replace('--', '--no-'), negativeHelp).hideHelp(!value),
  ];
}

function settingOption(key: ConfigKey): (name: string) => Option {
  const { default: value, help } = options[key];
  const { placeholder, isRepeatable = false }: Kind<unknown> = options[key];
  const shown =
    value === undefined
      ? help
      : `${help} (default: ${JSON.stringify(isRepeatable ? [value].flat().join() : value)})`;
  return (name) => {
    const isOld = name !== key;
    const text = isOld ? `Old name of ${flagOf(key)}.` : shown;
    const option = new Option(`${flagOf(name)} <${placeholder}>`, text).hideHelp(isOld);
    return isRepeatable ? option.argParser(appended) : option;
  };
}

function appended(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** Adds the settings of commands that only write state. */
export function withStateSettings(command: Command): Command {
  const file = 'YAML file with the settings of the serve command';
  return withConfigFile(command, file).addOption(settingOption('state.dir')('state.dir'));
}

/** Adds the paths, for commands that check whether a VM is running. */
export function withPaths(command: Command): Command {
  for (const key of Object.keys(options) as ConfigKey[]) {
    if (key.startsWith('path.')) for (const option of optionsOf(key)) command.addOption(option);
  }
  return command;
}
