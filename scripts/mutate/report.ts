import type { Mutant } from './mutants.ts';
import type { Settings } from './settings.ts';
import { interval } from './statistics.ts';
import type { Outcome, Result } from './trial.ts';

interface Folder {
  readonly name: string;
  readonly mutants: readonly Mutant[];
}

/** Mutants by folder name in the settings. A file without a folder is its own entry. */
export function foldersOf(mutants: readonly Mutant[], { folders }: Pick<Settings, 'folders'>): Folder[] {
  const name = (file: string): string =>
    Object.entries(folders).find(([, paths]) =>
      paths.some((path) => file === path || file.startsWith(`${path}/`)),
    )?.[0] ?? file;
  const groups = new Map<string, Mutant[]>();
  for (const mutant of mutants)
    groups.set(name(mutant.file), [...(groups.get(name(mutant.file)) ?? []), mutant]);
  return [...groups].map(([each, members]) => ({ name: each, mutants: members }));
}

export function describeMutant({ mutant, outcome }: Result): string {
  const { file, line, mutator, source, replacement } = mutant;
  return `${outcome}: ${file}:${line} ${mutator}\n    ${source}\n    ${replacement.replaceAll(/\s+/g, ' ').slice(0, 160)}`;
}

/** @returns the table, and the upper bound of the worst folder's score */
export function table(
  mutants: readonly Mutant[],
  results: readonly Result[],
  settings: Settings,
): { text: string; worst: number } {
  let worst = 1;
  const outcomes: readonly Outcome[] = ['killed', 'timed out', 'survived', 'no coverage'];
  const rows = foldersOf(mutants, settings).map(({ name, mutants: all }) => {
    const ids = new Set(all.map(({ id }) => id));
    const own = results.filter(({ mutant }) => ids.has(mutant.id));
    const counts = outcomes.map((outcome) => own.filter((each) => each.outcome === outcome).length);
    const [killed = 0, late = 0] = counts;
    const population = all.filter(({ equivalent }) => equivalent === undefined).length;
    const [low, high] = interval(killed + late, own.length, population);
    worst = Math.min(worst, high);
    const score = own.length === 0 ? '-' : percent((killed + late) / own.length);
    return [name, population, own.length, ...counts, score, `${percent(low)} to ${percent(high)}`];
  });
  const head = ['folder', 'mutants', 'tried', ...outcomes, 'score', '95% interval'];
  return {
    text: [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n'),
    worst,
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}
