import assert from 'node:assert/strict';
import type { Dashboard, Panel } from '@grafana/schema';
import { answer, panelWindow } from '../../../dashboards/preview/answers.ts';
import { windowOf } from '../../../dashboards/preview/interpolate.ts';
import { type Cell, frameOf } from '../../../dashboards/preview/page/frames.ts';
import { type Field, fieldsOf, mapped } from '../../../dashboards/preview/page/view.ts';
import type { TargetAnswer } from '../../../dashboards/preview/preview.ts';
import { choose } from '../../../dashboards/preview/variables.ts';
import { panelsOf, queriesOf, variablesOf } from '../../../testing/generated.ts';
import type { Truth } from './truth.ts';

/** A number, or its range. */
export type Expected = number | readonly [from: number, to: number];

/**
 * End of the dashboard's time range, in seconds since the beginning, and the true counters of the hosts at that time.
 */
export interface Moment {
  readonly at: number;
  /** Of the host with the evaluation. */
  readonly truth: Truth;
  readonly other: Truth;
  /** Of the beginning, in seconds of the epoch. */
  readonly start: number;
}

interface Common {
  /** At the end of the history by default. */
  readonly minute?: number;
  readonly wishes?: Readonly<Record<string, readonly string[]>>;
  /** Relative, and absolute. */
  readonly tolerance?: number;
  readonly floor?: number;
}

/** A panel of lines or numbers: the last value of each, by legend. */
export interface LinesCase extends Common {
  /** Of all lines, or by legend. */
  readonly unit: string | Readonly<Record<string, string>>;
  readonly is: (moment: Moment) => Readonly<Record<string, Expected>>;
  /** Whether lines that are not listed are allowed. */
  readonly others?: boolean;
  /** The texts of the values. */
  readonly called?: Readonly<Record<string, string>>;
}

/** A table or bars: columns by title, of the rows that these columns name. */
export interface TableCase extends Common {
  readonly key: readonly string[];
  readonly units: Readonly<Record<string, string>>;
  readonly rows: (moment: Moment) => Readonly<Record<string, Readonly<Record<string, string | Expected>>>>;
  readonly others?: boolean;
}

/** A panel with a check of its own. */
export interface OwnCase extends Common {
  readonly check: (answers: readonly TargetAnswer[], moment: Moment, panel: Panel) => void;
}

export type Case = LinesCase | TableCase | OwnCase;

/** By type and title of the panel. */
export type Cases = Readonly<Record<string, Case | readonly Case[]>>;

export const keyOf = ({ type, title }: Panel): string => `${type} ${title}`;

/** Seconds that a dashboard shows: few enough for a step of one scrape, and more than any rate takes. */
export const RANGE = 1200;

export async function asked(
  dashboard: Dashboard,
  panel: Panel,
  url: string,
  { wishes = {} }: Common,
  { at, start }: Moment,
): Promise<TargetAnswer[]> {
  const [from, to] = [start + Math.max(0, at - RANGE), start + at];
  const { choices } = await choose(variablesOf(dashboard), url, windowOf(from, to, 1000), wishes);
  return answer(panel, url, choices, panelWindow(panel, from, to));
}

export function check(one: Case, panel: Panel, answers: readonly TargetAnswer[], moment: Moment): void {
  if ('check' in one) one.check(answers, moment, panel);
  else if ('is' in one) checkLines(one, panel, answers, moment);
  else checkTable(one, panel, answers, moment);
}

const fieldOf = (panel: Panel): ReturnType<typeof fieldsOf> =>
  fieldsOf(panel.fieldConfig as unknown as Parameters<typeof fieldsOf>[0]);

/** The present value of each series. Series that have ended are missing. */
function lastOf(answers: readonly TargetAnswer[], { at, start }: Moment): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { series } of answers)
    for (const { name, value, values } of series) {
      const last = value ?? values?.find(([time]) => time === start + at);
      if (last === undefined) continue;
      assert.ok(found[name] === undefined, `two series are called ${name}`);
      found[name] = Number(last[1]);
    }
  return found;
}

function checkLines(one: LinesCase, panel: Panel, answers: readonly TargetAnswer[], moment: Moment): void {
  const found = lastOf(answers, moment);
  compare(found, one.is(moment), one, '');
  for (const { refId, series } of answers)
    for (const { name } of series) {
      const unit = typeof one.unit === 'string' ? one.unit : one.unit[name];
      assert.equal(fieldOf(panel)(name, refId).unit, unit, `unit of ${name}`);
    }
  const { mappings } = fieldOf(panel)('');
  const texts = Object.keys(one.called ?? {}).map((value) => [
    value,
    mapped({ mappings } as Field, value)?.text,
  ]);
  assert.deepEqual(Object.fromEntries(texts), one.called ?? {});
}

function checkTable(one: TableCase, panel: Panel, answers: readonly TargetAnswer[], moment: Moment): void {
  const frame = frameOf(answers, panel.transformations);
  const [first] = one.key;
  const found = new Map<string, ReadonlyMap<string, Cell>>();
  for (const i of frame.get(first ?? '')?.keys() ?? []) {
    const row = new Map([...frame].map(([title, cells]) => [title, cells[i]]));
    const key = one.key.map((title) => row.get(title)).join(' ');
    assert.ok(!found.has(key), `two rows of ${key}`);
    found.set(key, row);
  }
  const rows = one.rows(moment);
  if (one.others !== true) assert.deepEqual([...found.keys()].sort(), Object.keys(rows).sort());
  for (const [key, columns] of Object.entries(rows)) {
    for (const [title, expected] of Object.entries(columns)) {
      const cell = found.get(key)?.get(title);
      if (typeof expected === 'string') assert.equal(cell, expected, `${title} of ${key}`);
      else near(Number(cell), expected, one, `${title} of ${key}`);
    }
  }
  for (const [title, cells] of frame) {
    if (cells.some((cell) => typeof cell === 'number'))
      assert.equal(fieldOf(panel)(title).unit, one.units[title], `unit of the column ${title}`);
  }
}

function compare(
  found: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, Expected>>,
  one: LinesCase,
  what: string,
): void {
  for (const [name, value] of Object.entries(expected)) near(found[name] ?? 0, value, one, `${what}${name}`);
  if (one.others === true) return;
  for (const [name, value] of Object.entries(found))
    assert.ok(name in expected || value === 0, `${what}${name} is ${value}, and nothing of it is true`);
}

export function near(
  found: number,
  expected: Expected,
  { tolerance = 0.01, floor = 0 }: Common,
  what: string,
): void {
  const [from, to] =
    typeof expected === 'number'
      ? [-1, 1].map((sign) => expected + sign * Math.max(Math.abs(expected) * tolerance, floor))
      : expected;
  assert.ok(
    from !== undefined && to !== undefined && found >= from && found <= to,
    `${what}: ${found} for ${expected}`,
  );
}

/** Panels with queries. */
export const withQueries = (dashboard: Dashboard): Panel[] =>
  panelsOf(dashboard).filter((panel) => queriesOf(panel).length > 0);
