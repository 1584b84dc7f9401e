import type { Command } from 'commander';
import { printable } from '../../probes/printable.ts';
import { flagOf, isOnlyInFile } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import { type ConfigKey, options } from '../config/options.ts';

/** Rewrites a message of commander to one line with the nearest valid option or command. */
export function usageError(message: string, root: Command, argv: readonly string[]): string {
  const command = commandOf(root, argv.slice(2));
  const [, kind, given = ''] = /^error: unknown (option|command) '(.*)'$/s.exec(message) ?? [];
  const seeHelp = `: see ${pathOf(command)} --help`;
  if (kind === undefined) return printable(message.replace(/^error: /, '').replace(/\.$/, '')) + seeHelp;
  const name = given.replace(/=.*$/s, '');
  const hint = kind === 'option' ? hintOnFlag(name, command, root) : didYouMean(name, namesOf(command));
  return printable(`unknown ${kind} "${name}"${hint === '' ? seeHelp : hint}`);
}

function hintOnFlag(flag: string, command: Command, root: Command): string {
  const key = (Object.keys(options) as ConfigKey[])
    .filter(isOnlyInFile)
    .find((each) => flagOf(each) === flag);
  if (key !== undefined) return `: set ${key} in the file of --config`;
  const others = leavesOf(root).filter((each) => flagsOf(each).includes(flag));
  if (others.length > 0) return `: it is an option of ${others.map(pathOf).join(' and ')}`;
  const flags = flagsOf(command);
  // Labels and keys of collectors have underscores.
  const dashed = flag.replaceAll('_', '-');
  return flags.includes(dashed) ? `: did you mean "${dashed}"?` : didYouMean(flag, flags);
}

/** The command that the arguments name, as far as they name one. */
function commandOf(command: Command, words: readonly string[]): Command {
  const next = command.commands.find((each) => each.name() === words[0]);
  return next === undefined ? command : commandOf(next, words.slice(1));
}

function leavesOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function flagsOf(command: Command): string[] {
  return command.options.flatMap(({ long }) => long ?? []);
}

function namesOf(command: Command): string[] {
  return command.commands.map((each) => each.name());
}
