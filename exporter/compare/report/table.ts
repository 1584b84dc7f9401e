import { styleText } from 'node:util';
import { printable } from '../../../probes/printable.ts';
import { plainName, shortened } from '../names.ts';
import type { AssessedConfiguration, Assessment, Verdict } from '../statistics/assessment.ts';
import { causeTexts } from './causes.ts';
import { type GainCell, gainCell, groups, lineOf, valueCell } from './cells.ts';
import { methodText, reasonsOf, techniqueTexts, workTexts } from './explanations.ts';
import { type Metric, mainMetrics, otherMetrics } from './main-metrics.ts';
import { INCOMPARABLE, verdicts } from './words.ts';
import { wrapped } from './wrapped.ts';

export interface TableOptions {
  /** Columns of the terminal. */
  readonly width?: number;
  readonly isColoured?: boolean;
}

/** A column and the space after it. */
const COLUMN = 39;
const MAX_FIRST_COLUMN = 30;
const GAP = 2;

const COLOURS: Readonly<Partial<Record<Verdict, 'green' | 'red' | 'yellow' | 'gray'>>> = {
  better: 'green',
  worse: 'red',
  changed: 'yellow',
  unknown: 'gray',
};

/** The report for a terminal: configurations down, metrics across, as many side by side as the width has room for. */
export function renderTable(assessment: Assessment, options: TableOptions = {}): string {
  const { width = 100, isColoured = false } = options;
  const { configurations } = assessment;
  const lines = rowsOf(configurations).map(({ label }) => label.length);
  const first = Math.min(MAX_FIRST_COLUMN, Math.max(...lines, 0)) + GAP;
  const columns = Math.max(1, Math.floor((width - first) / COLUMN));
  const tables = groups([...mainMetrics(assessment), ...otherMetrics(assessment)], columns).map((metrics) =>
    tableOf(configurations, metrics, first, isColoured),
  );
  const about = [...aboutOf(assessment)].map((text) => wrapped(printable(text), width));
  const verdict = verdicts(assessment).map(({ name, base, text }) =>
    wrapped(`${plainName(name)} against ${plainName(base)}: ${text}`, width),
  );
  return `${[plainName(assessment.subject), ...verdict, ...tables, about.join('\n')].join('\n\n')}\n`;
}

interface Row {
  readonly label: string;
  readonly configuration: AssessedConfiguration;
  readonly kind: 'value' | 'first' | 'previous';
}

function rowsOf(configurations: readonly AssessedConfiguration[]): Row[] {
  return configurations.flatMap((configuration, i) => {
    const { name } = configuration;
    const value: Row = { label: shortened(plainName(name), MAX_FIRST_COLUMN), configuration, kind: 'value' };
    const first: Row = { label: '  against the first', configuration, kind: 'first' };
    const previous: Row = { label: '  against the one before', configuration, kind: 'previous' };
    return [value, ...(i > 0 ? [first] : []), ...(i > 1 ? [previous] : [])];
  });
}

function tableOf(
  configurations: readonly AssessedConfiguration[],
  metrics: readonly Metric[],
  first: number,
  isColoured: boolean,
): string {
  const header = `${' '.repeat(first)}${metrics.map(({ title }) => shortened(title, COLUMN - GAP).padEnd(COLUMN)).join('')}`;
  const rows = rowsOf(configurations).map(({ label, configuration, kind }) => {
    const cells = metrics.map((metric) => {
      if (kind === 'value') return valueCell(configuration, metric).padEnd(COLUMN);
      const against = kind === 'first' ? configuration.againstFirst : configuration.againstPrevious;
      return coloured(gainCell(against, metric), isColoured);
    });
    return `${label.padEnd(first)}${cells.join('')}`.trimEnd();
  });
  return [header.trimEnd(), ...rows].join('\n');
}

function coloured(cell: GainCell | undefined, isColoured: boolean): string {
  if (cell === undefined) return ' '.repeat(COLUMN);
  const whole = lineOf(cell).padEnd(COLUMN);
  const colour = COLOURS[cell.verdict];
  return isColoured && colour !== undefined ? styleText(colour, whole, { validateStream: false }) : whole;
}

function* aboutOf(assessment: Assessment): Iterable<string> {
  for (const { name, base, text } of workTexts(assessment))
    yield `${INCOMPARABLE} The work of ${plainName(name)} was not that of ${plainName(base)}: ${text}.`;
  for (const { name, base, text } of causeTexts(assessment))
    yield `${plainName(name)} is worse than ${plainName(base)}. ${text}`;
  for (const configuration of assessment.configurations) {
    const name = plainName(configuration.name);
    const techniques = techniqueTexts(configuration);
    if (techniques.length > 0) yield `${name}: ${techniques.join('; ')}.`;
    for (const { why, titles } of reasonsOf(configuration, assessment))
      yield `${name}: cannot say of ${titles.join(', ')}: ${why}.`;
    for (const note of configuration.notes) yield `${name}: ${note}`;
  }
  yield methodText(assessment).join(' ');
}
