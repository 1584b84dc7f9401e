import { z } from 'zod';
import { parseLibvirtCpuset } from '../../probes/libvirt-cpuset.ts';
import { cronProblem } from '../schedule/schedule.ts';

/** The values that a setting accepts. */
export interface Kind<T> {
  readonly schema: z.ZodType<T>;
  /** Allowed values, for error messages. */
  readonly allowed: string;
  /** Stands for the value in `--help`; completion knows `file` and `directory`. */
  readonly placeholder: string;
  /** The words that the value may be, or that a comma-separated value may contain. */
  readonly words?: readonly string[];
  /** The value may contain several words, separated by commas. */
  readonly isList?: boolean;
  /** The flag may be given several times, and the value may be a list. */
  readonly isRepeatable?: boolean;
}

const any = z.string().min(1).max(4096);

/** Text that fulfils a condition. */
export function text(
  placeholder: string,
  allowed: string,
  isAllowed: (value: string) => boolean,
): Kind<string> {
  return { schema: any.refine(isAllowed), allowed, placeholder };
}

export function oneOf<const W extends string>(...words: readonly [W, ...W[]]): Kind<W> {
  const allowed = words.join(', ').replace(/, (?=[^,]*$)/, ' or ');
  return { schema: z.enum(words), allowed, placeholder: words.join('|'), words };
}

/** Words, separated by commas. */
export function listOf(words: readonly string[]): Kind<string> {
  const allowed = `a comma-separated list of ${words.join(', ')}`;
  const isAllowed = (value: string): boolean => listed(value).every((word) => words.includes(word));
  return { ...text('list', allowed, isAllowed), words, isList: true };
}

/** Accepts `exits,block` and `exits, block`. */
export function listed(value: string): string[] {
  return [...new Set(value.split(',').map((name) => name.trim()))];
}

export function whole(min: number, max: number): Kind<number> {
  const schema = number(/^\d+$/).pipe(z.number().int().min(min).max(max));
  return { schema, allowed: `a whole number from ${min} to ${max}`, placeholder: 'number' };
}

export function decimal(min: number, max: number): Kind<number> {
  const schema = number(/^\d+(\.\d+)?$/).pipe(z.number().min(min).max(max));
  return { schema, allowed: `a number from ${min} to ${max}`, placeholder: 'number' };
}

function number(written: RegExp): z.ZodType<number> {
  return z.union([z.number(), z.string().regex(written).transform(Number)]);
}

export const flag: Kind<boolean> = {
  schema: z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')]),
  allowed: 'true or false',
  placeholder: 'true|false',
};

export const file = text('file', 'an absolute path', isPath);
export const directory = text('directory', 'an absolute path', isPath);

export const pathPattern = text(
  'pattern',
  'an absolute path with * in the file name',
  (value) => isPath(value) && !value.slice(0, value.lastIndexOf('/')).includes('*'),
);

export const paths = text('directories', 'comma-separated absolute paths', (value) =>
  value.split(',').every((part) => part.startsWith('/')),
);

function isPath(value: string): boolean {
  return value.startsWith('/') && !value.includes('\0');
}

export const cron = text(
  'cron',
  'a cron expression with seconds (six fields)',
  (value) => cronProblem(value) === undefined && value.trim().split(/\s+/).length === 6,
);

export const duration = text('duration', 'a duration such as 90m, 6h or 7d', (value) =>
  /^(\d{1,6}[smhdwy])+$/.test(value),
);

export const namePattern = text(
  'pattern',
  'a name, or a pattern with * and ?',
  (value) => value.length <= 500 && !value.includes('\0'),
);

export const regularExpression = text(
  'regexp',
  'a regular expression',
  (value) => value.length <= 500 && accepts(() => new RegExp(value, 'u')),
);

export const pinnings: Kind<
  readonly { readonly name: string; readonly pinning: Readonly<Record<string, string>> }[]
> = {
  schema: z.array(z.strictObject({ name: any, pinning: z.record(any, any.refine(isCpuset)) })).max(10_000),
  allowed: 'a list of { name: NAME, pinning: { THREAD: CPUS } }, with * and ? in names and CPUs as in 1-4,^2',
  placeholder: 'list',
};

function isCpuset(value: string): boolean {
  return accepts(() => parseLibvirtCpuset(value));
}

function accepts(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}
