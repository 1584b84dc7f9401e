import { plainName } from '../names.ts';
import type { AssessedConfiguration, Assessment } from '../statistics/assessment.ts';
import { barChart } from './bars.ts';
import { causeTexts } from './causes.ts';
import { groups } from './cells.ts';
import { html } from './escape.ts';
import { methodText, reasonsOf, workTexts } from './explanations.ts';
import { metricTable, techniqueTable, workTable } from './html-tables.ts';
import { type Metric, mainMetrics, otherMetrics } from './main-metrics.ts';
import { STYLE } from './style.ts';
import { timeLine } from './time-line.ts';
import { INCOMPARABLE, verdicts } from './words.ts';
import { subjectsText } from './work-columns.ts';

/** Metrics beside each other that fit the width of a page. */
const COLUMNS = 4;

/** The report as one file that needs neither scripts nor other files. */
export function renderHtml(assessment: Assessment): string {
  const { configurations, subject } = assessment;
  const main = mainMetrics(assessment);
  const others = otherMetrics(assessment);
  const title = html(`${plainName(subject)}: ${configurations.length} configurations compared`);
  const notes = [...notesOf(assessment)].map((note) => `<li>${note}</li>`);
  const hasLines = main.some(({ id }) =>
    configurations.some(({ estimates }) => (estimates.get(id)?.line.length ?? 0) > 0),
  );
  const sections = [
    section('Verdict', verdictOf(assessment)),
    section('Main metrics', `<div class="grid-of-cards">${main.map(chart).join('\n')}</div>`),
    metricTable(assessment, main),
    ...(hasLines ? [section('Over the time', legend(configurations) + main.map(line).join('\n'))] : []),
    ...(others.length === 0 ? [] : [section('All other metrics', otherTables())]),
    section('The same work?', sameWork(assessment)),
    section('Techniques in force', techniqueTable(assessment)),
    section('Notes', notes.length === 0 ? '' : `<ul>${notes.join('\n')}</ul>`),
    section('How to read this', `<p>${methodText(assessment).map(html).join(' ')}</p>`),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${title}</h1>
<p class="muted">${html(subjectsText(configurations))}</p>
${sections.join('\n')}
</body>
</html>
`;

  function chart(metric: Metric): string {
    return `<div class="card"><h3>${html(metric.title)}</h3>${barChart(configurations, metric)}</div>`;
  }

  function line(metric: Metric): string {
    return `<div class="card scroll"><h3>${html(metric.title)}</h3><div class="wide">${timeLine(configurations, metric)}</div></div>`;
  }

  function otherTables(): string {
    return groups(others, COLUMNS)
      .map((metrics) => metricTable(assessment, metrics))
      .join('\n');
  }
}

function section(title: string, content: string): string {
  return content === '' ? '' : `<h2>${title}</h2>\n${content}`;
}

function verdictOf(assessment: Assessment): string {
  const of = verdicts(assessment).map(
    ({ name, base, text }) =>
      `<p><strong>${html(plainName(name))}</strong> against <strong>${html(plainName(base))}</strong>: ${html(text)}</p>`,
  );
  const causes = causeTexts(assessment).map(
    ({ name, base, text }) =>
      `<p><strong>${html(plainName(name))}</strong> is worse than <strong>${html(plainName(base))}</strong>. ${html(text)}</p>`,
  );
  return [...of, ...causes].join('\n');
}

function legend(configurations: readonly AssessedConfiguration[]): string {
  const entries = configurations.map(
    ({ name }, i) => `<li class="c${i % 8}"><i></i>${html(plainName(name))}</li>`,
  );
  return `<ul class="legend">${entries.join('')}</ul>`;
}

function sameWork(assessment: Assessment): string {
  const texts = workTexts(assessment).map(
    ({ name, base, text }) =>
      `<li>${html(plainName(name))} against ${html(plainName(base))}: ${html(text)}.</li>`,
  );
  const explanation =
    texts.length === 0
      ? '<p>No difference of the work was found that would make metrics incomparable.</p>'
      : `<p>Metrics with ${INCOMPARABLE} are not comparable, because the work differed:</p><ul>${texts.join('\n')}</ul>`;
  return `${explanation}\n${workTable(assessment)}`;
}

function* notesOf(assessment: Assessment): Iterable<string> {
  for (const configuration of assessment.configurations) {
    const name = html(plainName(configuration.name));
    for (const { why, titles } of reasonsOf(configuration, assessment))
      yield `${name}: cannot say of ${html(titles.join(', '))}: ${html(why)}.`;
    for (const note of configuration.notes) yield `${name}: ${html(note)}`;
  }
}
