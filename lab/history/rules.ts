import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The parts of a Prometheus rule that its history needs. */
export interface HistoryRule {
  readonly record?: string | undefined;
  readonly alert?: string | undefined;
  readonly expr: string;
  readonly for?: string | undefined;
  readonly keep_firing_for?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface RuleGroups {
  readonly groups: readonly { readonly rules: readonly HistoryRule[] }[];
}

/** All rules of a file, in order. */
export function readRules(path: string): HistoryRule[] {
  const file = parse(readFileSync(path, 'utf8')) as RuleGroups;
  return file.groups.flatMap(({ rules }) => rules);
}

/** Splits recording rules into passes. A pass reads only scraped series and series of earlier passes. */
export function passesOf(rules: readonly HistoryRule[]): HistoryRule[][] {
  let left = rules.filter(({ record }) => record !== undefined);
  const passes: HistoryRule[][] = [];
  while (left.length > 0) {
    const missing = new Set(left.map(({ record }) => record));
    const isReady = ({ expr }: HistoryRule): boolean =>
      !(expr.match(/[a-zA-Z_][\w:]*/g) ?? []).some((name) => missing.has(name));
    const pass = left.filter(isReady);
    if (pass.length === 0) throw new RangeError(`rules depend on each other: ${[...missing].join(', ')}`);
    passes.push(pass);
    left = left.filter((rule) => !isReady(rule));
  }
  return passes;
}
