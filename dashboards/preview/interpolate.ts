/** As Grafana keeps it: the values that are chosen, and what is put in a query where all are. */
export interface Chosen {
  readonly values: readonly string[];
  readonly isMulti: boolean;
  /** Of a variable of which all values are chosen. */
  readonly all?: string | undefined;
}

export type Choices = ReadonlyMap<string, Chosen>;

/** Seconds of the epoch, and the step that a panel's width makes of them. */
export interface Window {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** As set for the data source: seconds between two scrapes. */
const SCRAPE_SECONDS = 15;
/** Grafana's steps, in seconds. */
const STEPS = [
  1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

export function windowOf(from: number, to: number, maxPoints: number): Window {
  const exact = Math.max((to - from) / maxPoints, SCRAPE_SECONDS);
  return { from, to, step: STEPS.find((step) => step >= exact) ?? 86_400 };
}

/** What Grafana's Prometheus data source makes of a query before it is asked. */
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

/** As it is shown in a title: the values, or All. */
export function inText(text: string, choices: Choices): string {
  return text.replaceAll(/\$(\w+)/g, (whole, name) => {
    const chosen = choices.get(name);
    if (chosen === undefined) return whole;
    return chosen.all === undefined ? chosen.values.join(' + ') : 'All';
  });
}
