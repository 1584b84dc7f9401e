import type { Argument, Command, Option } from 'commander';
import { program } from '../../exporter/cli/program.ts';
import type { Kind } from '../../exporter/config/kinds.ts';
import { environmentVariableOf, flagOf, isOnlyInFile } from '../../exporter/config/load.ts';
import { type ConfigKey, options } from '../../exporter/config/options.ts';

/** One flag of a command. */
export interface Flag {
  readonly long: string;
  readonly help: string;
  /** Heading of its group in `--help`. */
  readonly group: string;
  /** Placeholder of the value; undefined for a switch. */
  readonly value: string | undefined;
  /** The words that the value may be or contain. */
  readonly words: readonly string[];
  readonly isList: boolean;
  readonly variable: string | undefined;
}

/** A command without commands of its own. */
export interface Leaf {
  /** Words after `kvm-telemetry`: `['phase', 'set']`. */
  readonly words: readonly string[];
  readonly description: string;
  /** Such as `<vm> <phase>`. */
  readonly usage: string;
  readonly flags: readonly Flag[];
}

const KINDS: ReadonlyMap<string, Kind<unknown> & { readonly key: ConfigKey }> = new Map(
  (Object.keys(options) as ConfigKey[])
    .filter((key) => !isOnlyInFile(key))
    .map((key) => [flagOf(key), { ...(options[key] as Kind<unknown>), key }]),
);

/** All commands that do something, with the flags that `--help` shows. */
export function leaves(): Leaf[] {
  return leavesOf(
    program(() => undefined),
    [],
  );
}

function leavesOf(command: Command, words: readonly string[]): Leaf[] {
  if (command.commands.length > 0)
    return command.commands.flatMap((each) => leavesOf(each, [...words, each.name()]));
  const flags = command.options.filter(({ hidden }) => !hidden).map(flagFrom);
  const usage = command.registeredArguments.map(placeholderOf).join(' ');
  return [{ words, description: command.description(), usage, flags }];
}

/** `<vm>`, or `[threads...]` for arguments that may be left out. */
function placeholderOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function flagFrom(option: Option): Flag {
  const long = option.long ?? '';
  const kind = KINDS.get(long.replace(/^--no-/, '--'));
  const value = /<(.+)>$/.exec(option.flags)?.[1];
  return {
    long,
    help: option.description,
    group: option.helpGroupHeading ?? 'Options:',
    value,
    words: kind?.words ?? [],
    isList: kind?.isList === true,
    variable: kind === undefined ? option.envVar : environmentVariableOf(kind.key),
  };
}

/** Commands that have commands of their own, such as `phase`. */
export function groupsOf(all: readonly Leaf[]): string[] {
  return [...new Set(all.filter(({ words }) => words.length > 1).map(({ words }) => words[0] ?? ''))];
}

/** Words that may follow `before` on the command line. */
export function wordsAfter(all: readonly Leaf[], before: readonly string[]): string[] {
  const next = all
    .filter(({ words }) => before.every((word, i) => words[i] === word))
    .map(({ words }) => words[before.length] ?? '');
  return [...new Set(next)].filter((word) => word !== '');
}
