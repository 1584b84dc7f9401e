import { IO_PATH_LABELS } from '../exporter/metrics/roles.ts';
import {
  type CounterName,
  type GaugeName,
  gauge,
  type Matchers,
  rate,
  regexp,
  type SeriesLabels,
  type Vector,
} from '../promql/promql.ts';

/** Grafana's rate interval: at least four scrapes, or a step of the panel if that is longer. */
export const RATE = '$__rate_interval';
/** The time range of the dashboard. */
export const RANGE = '$__range';

/** Text of an empty panel whose series are not in the default profile. */
export const FULL = 'Not exported: --profile=full';

/** Matchers for the selected hosts. */
export const OF_HOSTS = {
  cluster: regexp('$cluster'),
  job: regexp('$job'),
  instance: regexp('$instance'),
} as const;
/** Matchers for the selected clusters, for dashboards of more hosts than a list can offer. */
export const OF_CLUSTERS = { cluster: OF_HOSTS.cluster, job: OF_HOSTS.job } as const;
export const OF_VMS = { ...OF_HOSTS, vm: regexp('$vm') } as const;
/** Threads on the path of an I/O. */
export const ON_IO_PATH = { role: regexp(IO_PATH_LABELS.join('|')) } as const;

type WithVm<M extends string> = M extends unknown ? ('vm' extends SeriesLabels<M> ? M : never) : never;
type VmCounter = WithVm<CounterName>;
type VmGauge = WithVm<GaugeName>;

function chosen<M extends string>(by: object, more: Matchers<SeriesLabels<M>>): Matchers<SeriesLabels<M>> {
  return { ...by, ...more };
}

export function hostRate<M extends CounterName>(
  name: M,
  more: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return rate(name, RATE, chosen<M>(OF_HOSTS, more));
}
export function hostGauge<M extends GaugeName>(
  name: M,
  more: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return gauge(name, chosen<M>(OF_HOSTS, more));
}
export function vmRate<M extends VmCounter>(
  name: M,
  more: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return rate(name, RATE, chosen<M>(OF_VMS, more));
}
export function vmGauge<M extends VmGauge>(
  name: M,
  more: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return gauge(name, chosen<M>(OF_VMS, more));
}

/** Labels in a legend: `{{vm}}: {{reason}}`. */
type Named<S extends string> = S extends `${string}{{${infer N}}}${infer Rest}` ? N | Named<Rest> : never;

/** One query of a panel, with its legend. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
  readonly kind: 'range' | 'instant' | 'table' | 'heatmap';
}

/** A range query. A label in the legend that the series do not have does not compile. */
export function series<L extends string, const S extends string>(
  expr: Vector<L>,
  legend: S & (Named<S> extends L ? unknown : never),
): Query {
  return { expr: expr.promql, legend, kind: 'range' };
}

/** An instant query at the end of the time range. */
export function now<L extends string, const S extends string>(
  expr: Vector<L>,
  legend: S & (Named<S> extends L ? unknown : never),
): Query {
  return { expr: expr.promql, legend, kind: 'instant' };
}

/** An instant query at the end of the time range, with each label as a column. */
export function rows(expr: Vector<string>): Query;
export function rows<L extends string>(expr: Vector<L>): Query;
export function rows(expr: { readonly promql: string }): Query {
  return { expr: expr.promql, legend: '', kind: 'table' };
}

/** Histogram buckets over time. */
export function buckets(expr: Vector<'le'>): Query {
  return { expr: expr.promql, legend: '{{le}}', kind: 'heatmap' };
}
