import { parse as parseYaml } from 'yaml';
import type { Kind } from './kinds.ts';
import { didYouMean } from './nearest.ts';
import { type Config, type ConfigKey, options } from './options.ts';
import { readNamedFile } from './read-file.ts';

/** A configuration error. The message names the key, the value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Unvalidated values by key, from the command line, the environment or a file. */
export type RawValues = Readonly<Record<string, unknown>>;

const KEYS = Object.keys(options) as ConfigKey[];
/** `web` and `web.config`, of `web.config.file`. */
const SECTIONS = new Set(
  KEYS.flatMap((key) =>
    key
      .split('.')
      .slice(0, -1)
      .map((_, i, names) => names.slice(0, i + 1).join('.')),
  ),
);
const OLD_KEYS = new Set(KEYS.map(oldKeyOf));

export function flagOf(key: string): string {
  return `--${kebab(key).replaceAll('_', '-')}`;
}

export function environmentVariableOf(key: string): string {
  return `KVM_TELEMETRY_${kebab(key).toUpperCase().replace(/[.-]/g, '_')}`;
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

/**
 * Merges all settings with their defaults. Flags override the environment, which overrides the file. @throws
 * ConfigError
 */
export function resolveConfig(flags: RawValues, environment: NodeJS.ProcessEnv, file: RawValues): Config {
  const config: Record<string, unknown> = {};
  for (const key of KEYS) {
    const keys = namesOf(key);
    const variables = keys.map(environmentVariableOf);
    const given: (readonly [string, unknown])[] = [
      ...(isOnlyInFile(key) ? [] : keys.map((name) => [flagOf(name), flags[name]] as const)),
      ...(isOnlyInFile(key) ? [] : variables.map((name) => [name, environment[name]] as const)),
      ...keys.map((name) => [name, file[name]] as const),
    ];
    const found = given.find(([, value]) => value !== undefined);
    config[key] = found === undefined ? options[key].default : validated(key, found[0], found[1]);
  }
  return config as unknown as Config;
}

export function isOnlyInFile(key: ConfigKey): boolean {
  const { onlyInFile }: { onlyInFile?: boolean } = options[key];
  return onlyInFile === true;
}

function oldKeyOf(key: ConfigKey): string | undefined {
  const { oldKey }: { oldKey?: string } = options[key];
  return oldKey;
}

/** All keys under which a setting is accepted, the current one first. */
export function namesOf(key: ConfigKey): string[] {
  const old = oldKeyOf(key);
  return old === undefined ? [key] : [key, old];
}

function validated(key: ConfigKey, where: string, value: unknown): unknown {
  const { schema } = options[key];
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { allowed, words = [], isRepeatable = false }: Kind<unknown> = options[key];
  const isOneOfMany = isRepeatable && Array.isArray(value);
  const refused = isOneOfMany ? value.find((each) => !schema.safeParse(each).success) : undefined;
  const wrong = String(value)
    .split(',')
    .map((word) => word.trim())
    .find((word) => !words.includes(word));
  const hint = words.length === 0 || wrong === undefined ? '' : didYouMean(wrong, words);
  throw new ConfigError(`${where}: ${quote(refused ?? value)} is not allowed: give ${allowed}${hint}`);
}

/** Reads a configuration file: nested YAML, such as `web: { listenAddress: ":9954" }`. @throws ConfigError */
export function readConfigFile(path: string): RawValues {
  let text: string;
  try {
    text = readNamedFile(path).toString('utf8');
  } catch (error) {
    throw new ConfigError(`--config: cannot read ${path}: ${(error as Error).message}`);
  }
  return parseConfigFile(text, path);
}

/** The first line of the YAML parser's message; the others quote the text. */
export function notYaml(error: unknown): string {
  const [line = ''] = String((error as Error).message).split('\n');
  return `not YAML: ${line.replace(/:$/, '')}`;
}

/** @throws ConfigError for invalid YAML and for unknown keys */
export function parseConfigFile(text: string, path: string): RawValues {
  let document: unknown;
  try {
    document = parseYaml(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    throw new ConfigError(`${path}: ${notYaml(error)}`);
  }
  const values: Record<string, unknown> = {};
  if (document !== null && document !== undefined) flatten(document, '', path, values);
  return values;
}

function flatten(node: unknown, prefix: string, path: string, values: Record<string, unknown>): void {
  if (typeof node !== 'object' || node === null || Array.isArray(node)) {
    throw new ConfigError(
      `${path}: ${prefix === '' ? 'the document' : prefix} is ${quote(node)}: give keys and values`,
    );
  }
  for (const [name, value] of Object.entries(node)) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    if (Object.hasOwn(options, key)) values[key] = value;
    else if (typeof value !== 'object' && OLD_KEYS.has(key)) values[key] = value;
    else if (SECTIONS.has(key)) flatten(value, key, path, values);
    else
      throw new ConfigError(
        `${path}: unknown key ${quote(key)}${didYouMean(key, [...KEYS, ...SECTIONS]) || `: known keys are ${KEYS.join(', ')}`}`,
      );
  }
}

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
