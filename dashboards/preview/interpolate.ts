/** State of a variable, as in Grafana: the selected values, and the text for queries if all are selected. */
export interface Chosen {
  readonly values: readonly string[];
  readonly isMulti: boolean;
  /** Set if all values of the variable are selected. */
  readonly all?: string | undefined;
}

export type Choices = ReadonlyMap<string, Chosen>;

/** Unix times in seconds, and the step that results from the panel's width. */
export interface Window {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** Scrape interval in seconds, as set for the data source. */
const SCRAPE_SECONDS = 15;
/** Grafana's steps, in seconds. */
const STEPS = [
  1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

export function windowOf(from: number, to: number, maxPoints: number): Window {
  const exact = Math.max((to - from) / maxPoints, SCRAPE_SECONDS);
  return { from, to, step: STEPS.find((step) => step >= exact) ?? 86_400 };
}

/** Interpolates a query as Grafana's Prometheus data source does. */
export function interpolate(text: string, choices: Choices, { from, to, step }: Window): string {
  const rateInterval = Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS);
  const own: Record<string, string> = {
    __interval: `${step}s`,
    __interval_ms: `${step * 1000}`,
    __range: `${to - from}s`,
    __range_s: `${to - from}`,
    __range_ms: `${(to - from) * 1000}`,
    __rate_interval: `${rateInterval}s`,
  };
  return text.replaceAll(/\$(\w+)|\$\{(\w+)(?::\w+)?\}/g, (whole, plain, braced) => {
    const name: string = plain ?? braced;
    if (own[name] !== undefined) return own[name];
    const chosen = choices.get(name);
    return chosen === undefined ? whole : inQuery(chosen);
  });
}

function inQuery({ values, isMulti, all }: Chosen): string {
  if (all !== undefined) return all;
  if (!isMulti) return (values[0] ?? '').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  const escaped = values.map((value) => value.replaceAll(/[$^*{}[\]'+?.()|\\]/g, '\\\\$&'));
  return escaped.length === 1 ? (escaped[0] ?? '') : `(${escaped.join('|')})`;
}

/** Interpolates a title: the values, or All. */
export function inText(text: string, choices: Choices): string {
  return text.replaceAll(/\$(\w+)/g, (whole, name) => {
    const chosen = choices.get(name);
    if (chosen === undefined) return whole;
    return chosen.all === undefined ? chosen.values.join(' + ') : 'All';
  });
}
