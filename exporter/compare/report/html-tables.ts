import { TECHNIQUES } from '../../metrics/techniques.ts';
import { plainName } from '../names.ts';
import type { Assessment, Comparing } from '../statistics/assessment.ts';
import { type GainCell, gainCell, valueCell } from './cells.ts';
import { html } from './escape.ts';
import { techniqueText } from './explanations.ts';
import type { Metric } from './main-metrics.ts';
import { spansText } from './times.ts';
import { workColumns } from './work-columns.ts';

/** Configurations down, metrics across, in the manner of the paper's Table 1. */
export function metricTable({ configurations }: Assessment, metrics: readonly Metric[]): string {
  const rows = configurations.flatMap((configuration, i) => {
    const { name, againstFirst, againstPrevious } = configuration;
    const values = metrics.map((metric) => `<b>${html(valueCell(configuration, metric))}</b>`);
    const gains = (label: string, comparing: Comparing | undefined): string[][] =>
      comparing === undefined
        ? []
        : [[`<small>${label}</small>`, ...metrics.map((metric) => gain(gainCell(comparing, metric)))]];
    return [
      [html(plainName(name)), ...values],
      ...gains('against the first', againstFirst),
      ...gains('against the one before', i > 1 ? againstPrevious : undefined),
    ];
  });
  return table(['', ...metrics.map(({ title }) => html(title))], rows);
}

function gain(cell: GainCell | undefined): string {
  if (cell === undefined) return '';
  const { amount, range, word, verdict, why } = cell;
  const title = why === undefined ? '' : ` title="${html(why)}"`;
  const interval = range === '' ? '' : ` <span class="range">${html(range)}</span>`;
  return `<span class="gain ${verdict}"${title}>${html(amount)}${interval} ${html(word)}</span>`;
}

/** The work of the VMs in each configuration, and their hosts. */
export function workTable({ configurations }: Assessment): string {
  const columns = workColumns(configurations);
  const rows = configurations.map((configuration) => [
    html(plainName(configuration.name)),
    `<span class="time">${html(spansText(configuration.spans))}</span>`,
    ...columns.map(({ textOf }) => html(textOf(configuration))),
  ]);
  return table(['', 'Time (UTC)', ...columns.map(({ title }) => html(title))], rows);
}

/** The techniques in force, with the share of the time. Empty if all are unknown. */
export function techniqueTable({ configurations }: Assessment): string {
  const known = TECHNIQUES.filter((name) => configurations.some(({ techniques }) => techniques.has(name)));
  if (known.length === 0) return '';
  const rows = configurations.map((configuration) => [
    html(plainName(configuration.name)),
    ...known.map((name) => html(techniqueText(configuration, name))),
  ]);
  return table(['', ...known.map((name) => html(name.replaceAll('_', ' ')))], rows);
}

/** @param rows markup, of which the first cell is the header of its row */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = header.map((cell) => `<th scope="col">${cell}</th>`).join('');
  const body = rows.map(
    ([first = '', ...cells]) =>
      `<tr${first.startsWith('<small>') ? ' class="of"' : ''}><th scope="row">${first}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`,
  );
  return `<div class="card scroll table"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body.join('\n')}
</tbody></table></div>`;
}
