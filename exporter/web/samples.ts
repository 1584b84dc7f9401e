import type { Family } from '../metrics/families.ts';

/** Families of one collection, by name. */
export type FamilyIndex = ReadonlyMap<string, Family>;

export interface Sample {
  /** Values of the labels, in the order in which the catalogue declares them. */
  readonly labels: readonly string[];
  readonly value: number;
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  readonly suffix: string;
}

export function indexOf(families: readonly Family[]): FamilyIndex {
  return new Map(families.map((family) => [family.name, family]));
}

/**
 * The samples of a family, none where it is not there.
 *
 * @param only samples of this value: the labels of the others are not even looked at
 */
export function* samplesOf(index: FamilyIndex, name: string, only?: number): Generator<Sample> {
  const family = index.get(name);
  if (family === undefined) return;
  for (const [i, block] of family.labels.entries()) {
    if (only !== undefined && family.values[i] !== only) continue;
    yield { labels: labelValues(block), value: family.values[i] ?? 0, suffix: family.suffixes[i] ?? '' };
  }
}

/** The samples of one VM, without a look at the others' labels. Every family of VMs begins with the label `vm`. */
export function* samplesOfVm(index: FamilyIndex, name: string, vm: string): Generator<Sample> {
  const family = index.get(name);
  if (family === undefined) return;
  const prefix = `vm="${escaped(vm)}"`;
  for (const [i, block] of family.labels.entries()) {
    if (!block.startsWith(prefix)) continue;
    yield { labels: labelValues(block), value: family.values[i] ?? 0, suffix: family.suffixes[i] ?? '' };
  }
}

/** The values between the quotes of `vm="web",thread="vcpu0"`: what labelBlock() wrote, read back. */
export function labelValues(block: string): string[] {
  const values: string[] = [];
  let at = block.indexOf('="');
  while (at >= 0) {
    const start = at + 2;
    let end = block.indexOf('"', start);
    while (end > 0 && isEscaped(block, start, end)) end = block.indexOf('"', end + 1);
    const value = block.slice(start, end < 0 ? undefined : end);
    values.push(value.includes('\\') ? value.replace(/\\(.)/g, unescaped) : value);
    at = end < 0 ? -1 : block.indexOf('="', end + 1);
  }
  return values;
}

function isEscaped(block: string, start: number, at: number): boolean {
  let backslashes = 0;
  for (let i = at - 1; i >= start && block[i] === '\\'; i--) backslashes++;
  return backslashes % 2 === 1;
}

function unescaped(_: string, character: string): string {
  return character === 'n' ? '\n' : character;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
