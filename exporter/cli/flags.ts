import { type Command, Option } from 'commander';
import { flagOf, isOnlyInFile } from '../config/load.ts';
import { type ConfigKey, options } from '../config/options.ts';

/** Adds `--config`. */
function withConfigFile(command: Command, help: string): Command {
  return command.addOption(new Option('--config <file>', help).env('KVM_TELEMETRY_CONFIG'));
}

/**
 * Adds all settings. Each boolean has a positive and a negative flag, so that a flag can override the file in
 * both directions. `--help` lists only the flag that changes the default.
 */
export function withSettings(command: Command): Command {
  withConfigFile(command, 'YAML file with the settings below; each dot in a name is a nesting level');
  for (const key of Object.keys(options) as ConfigKey[]) {
    if (isOnlyInFile(key)) continue;
    const { default: value, help } = options[key];
    const flag = flagOf(key);
    if (typeof value === 'boolean') {
      const negative = flag.replace('--', '--no-');
      const negativeHelp = `Do not ${help[0]?.toLowerCase()}${help.slice(1)}`;
      command.addOption(new Option(flag, help).hideHelp(value));
      command.addOption(new Option(negative, negativeHelp).hideHelp(!value));
    } else {
      const shown = value === undefined ? help : `${help} (default: ${JSON.stringify(value)})`;
      command.option(`${flag} <value>`, shown);
    }
  }
  return command;
}

/** Adds the settings of commands that only write state. */
export function withStateSettings(command: Command): Command {
  return withConfigFile(command, 'YAML file with the settings of the serve command').option(
    `${flagOf('state.dir')} <value>`,
    options['state.dir'].help,
  );
}

/** Adds the paths, for commands that check whether a VM is running. */
export function withPaths(command: Command): Command {
  for (const [key, { help }] of Object.entries(options)) {
    if (key.startsWith('path.')) command.option(`${flagOf(key)} <value>`, help);
  }
  return command;
}
