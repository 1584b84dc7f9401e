import type { AssessedConfiguration, Assessment } from '../statistics/assessment.ts';
import { causeTexts } from './causes.ts';
import { gainCell, groups, lineOf, valueCell } from './cells.ts';
import { markdown, markdownName } from './escape.ts';
import { methodText, reasonsOf, techniqueTexts, workTexts } from './explanations.ts';
import { type Metric, mainMetrics, otherMetrics } from './main-metrics.ts';
import { INCOMPARABLE, verdicts } from './words.ts';

/** A pull request has no room for more. */
const COLUMNS = 4;

/** The report for a pull request: the verdict and the main metrics, all others folded. */
export function renderMarkdown(assessment: Assessment): string {
  const { configurations, subject } = assessment;
  const main = mainMetrics(assessment);
  const others = otherMetrics(assessment);
  const tables = groups(others, COLUMNS).map((metrics) => tableOf(configurations, metrics));
  const folded =
    tables.length === 0
      ? []
      : ['<details>', `<summary>${others.length} more metrics</summary>`, ...tables, '</details>'];
  return `${[
    `## ${markdownName(subject)}: ${configurations.length} configurations compared`,
    verdictOf(assessment),
    tableOf(configurations, main),
    ...folded,
    [...aboutOf(assessment)].map((line) => `- ${line}`).join('\n'),
  ].join('\n\n')}\n`;
}

function verdictOf(assessment: Assessment): string {
  return verdicts(assessment)
    .map(({ name, base, text }) => `${markdownName(name)} against ${markdownName(base)}: ${markdown(text)}`)
    .join(' ');
}

function tableOf(configurations: readonly AssessedConfiguration[], metrics: readonly Metric[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(['', ...metrics.map(({ title }) => markdown(title))]),
    line(['---', ...metrics.map(() => '---')]),
    ...configurations.map((configuration, i) =>
      line([markdownName(configuration.name), ...metrics.map((metric) => cellOf(configuration, metric, i))]),
    ),
  ].join('\n');
}

function cellOf(configuration: AssessedConfiguration, metric: Metric, position: number): string {
  const { againstFirst, againstPrevious } = configuration;
  const gains = [
    ['first', againstFirst],
    ['before', position > 1 ? againstPrevious : undefined],
  ] as const;
  const lines = gains.flatMap(([label, comparing]) => {
    const cell = gainCell(comparing, metric);
    if (cell === undefined) return [];
    const plain = cell.word.replace(INCOMPARABLE, '\\*');
    const word = cell.verdict === 'better' || cell.verdict === 'worse' ? `**${plain}**` : plain;
    return `${label}: ${lineOf({ ...cell, word })}`;
  });
  return [`${valueCell(configuration, metric)}`, ...lines].join('<br>');
}

function* aboutOf(assessment: Assessment): Iterable<string> {
  for (const { name, base, text } of workTexts(assessment))
    yield `\\* The work of ${markdownName(name)} was not that of ${markdownName(base)}: ${markdown(text)}.`;
  for (const { name, base, text } of causeTexts(assessment))
    yield `${markdownName(name)} is worse than ${markdownName(base)}. ${markdown(text)}`;
  for (const configuration of assessment.configurations) {
    const name = markdownName(configuration.name);
    const techniques = techniqueTexts(configuration);
    if (techniques.length > 0) yield `${name}: ${techniques.join('; ')}.`;
    for (const { why, titles } of reasonsOf(configuration, assessment))
      yield `${name}: cannot say of ${markdown(titles.join(', '))}: ${markdown(why)}.`;
    for (const note of configuration.notes) yield `${name}: ${markdown(note)}`;
  }
  yield methodText(assessment).map(markdown).join(' ');
}
