import type { VariableModel } from '@grafana/schema';
import { type Choices, type Chosen, interpolate, type Window } from './interpolate.ts';
import { instant, series } from './prometheus.ts';

/** Queries the values of a variable, in the order in which Grafana lists them. */
async function valuesOf(
  variable: VariableModel,
  url: string,
  choices: Choices,
  window: Window,
): Promise<string[]> {
  if (variable.type !== 'query') return (variable.options ?? []).map(({ value }) => String(value));
  const query = interpolate(String(variable.query), choices, window);
  const label = /^label_values\((.+), (\w+)\)$/s.exec(query);
  if (label !== null) {
    const [, selector = '', name = ''] = label;
    const found = (await series(url, selector, window)).flatMap((metric) => metric[name] ?? []);
    return [...new Set(found)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }
  const [, expr] = /^query_result\((.+)\)$/s.exec(query) ?? [];
  if (expr === undefined) throw new Error(`${variable.name}: no query that is known: ${query}`);
  const pattern = new RegExp((variable.regex ?? '').replace(/^\/|\/$/g, ''));
  const texts = (await instant(url, expr, window.to)).map(({ metric }) => {
    const labels = Object.entries(metric).map(([key, value]) => `${key}="${value}"`);
    return `{${labels.join(',')}}`;
  });
  return [...new Set(texts.flatMap((text) => pattern.exec(text)?.[1] ?? []))];
}

/** Selects the requested values of each variable, else Grafana's defaults when the dashboard is opened. */
export async function choose(
  variables: readonly VariableModel[],
  url: string,
  window: Window,
  wishes: Readonly<Record<string, readonly string[]>> = {},
): Promise<{ choices: Choices; offered: ReadonlyMap<string, readonly string[]> }> {
  const choices = new Map<string, Chosen>();
  const offered = new Map<string, readonly string[]>();
  for (const variable of variables) {
    if (variable.type === 'datasource') continue;
    const values = await valuesOf(variable, url, choices, window);
    offered.set(variable.name, values);
    const isMulti = variable.multi === true;
    const wished = wishes[variable.name];
    if (wished !== undefined) choices.set(variable.name, { values: wished, isMulti });
    else if (variable.includeAll === true) {
      choices.set(variable.name, { values, isMulti, all: variable.allValue ?? '.*' });
    } else choices.set(variable.name, { values: values.slice(0, 1), isMulti });
  }
  return { choices, offered };
}
