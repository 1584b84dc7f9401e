import { z } from 'zod';
import { parseLibvirtCpuset } from '../../probes/libvirt-cpuset.ts';
import { cronProblem } from '../schedule/schedule.ts';

/** What a setting accepts. */
export interface Kind<T> {
  readonly schema: z.ZodType<T>;
  /** Allowed values, for error messages, and the placeholder of the value in `--help`. */
  readonly allowed: string;
  /** The words that a comma-separated value may contain. */
  readonly words?: readonly string[];
}

const any = z.string().min(1).max(4096);

/** Text that fulfils a condition. */
export function text(allowed: string, isAllowed: (value: string) => boolean): Kind<string> {
  return { schema: any.refine(isAllowed), allowed };
}

export function oneOf<const W extends string>(...words: readonly [W, ...W[]]): Kind<W> {
  return { schema: z.enum(words), allowed: words.join(', ').replace(/, (?=[^,]*$)/, ' or ') };
}

/** Words, separated by commas. */
export function listOf(words: readonly string[]): Kind<string> {
  const allowed = `a comma-separated list of ${words.join(', ')}`;
  return { ...text(allowed, (value) => listed(value).every((word) => words.includes(word))), words };
}

/** Accepts `exits,block` and `exits, block`. */
export function listed(value: string): string[] {
  return [...new Set(value.split(',').map((name) => name.trim()))];
}

export function whole(min: number, max: number): Kind<number> {
  const schema = number(/^\d+$/).pipe(z.number().int().min(min).max(max));
  return { schema, allowed: `a whole number from ${min} to ${max}` };
}

export function decimal(min: number, max: number): Kind<number> {
  const schema = number(/^\d+(\.\d+)?$/).pipe(z.number().min(min).max(max));
  return { schema, allowed: `a number from ${min} to ${max}` };
}

function number(written: RegExp): z.ZodType<number> {
  return z.union([z.number(), z.string().regex(written).transform(Number)]);
}

export const flag: Kind<boolean> = {
  schema: z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')]),
  allowed: 'true or false',
};

export const path = text('an absolute path', isPath);

export const pathPattern = text(
  'an absolute path with * in the file name',
  (value) => isPath(value) && !value.slice(0, value.lastIndexOf('/')).includes('*'),
);

export const paths = text('comma-separated absolute paths', (value) =>
  value.split(',').every((part) => part.startsWith('/')),
);

function isPath(value: string): boolean {
  return value.startsWith('/') && !value.includes('\0');
}

export const cron = text(
  'a cron expression with seconds (six fields)',
  (value) => cronProblem(value) === undefined && value.trim().split(/\s+/).length === 6,
);

export const regularExpression = text(
  'a regular expression',
  (value) => value.length <= 500 && accepts(() => new RegExp(value, 'u')),
);

export const pinnings: Kind<
  readonly { readonly name: string; readonly pinning: Readonly<Record<string, string>> }[]
> = {
  schema: z.array(z.strictObject({ name: any, pinning: z.record(any, any.refine(isCpuset)) })).max(10_000),
  allowed: 'a list of { name: NAME, pinning: { THREAD: CPUS } }, with * and ? in names and CPUs as in 1-4,^2',
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
