import type { GridPos } from '@grafana/schema';

/** A series in Prometheus' response: an instant query has `value`, a range query has `values`. */
export interface Answer {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

/** Result of one query of a panel. */
export interface TargetAnswer {
  readonly refId: string;
  readonly format: 'time_series' | 'table' | 'heatmap';
  readonly isInstant: boolean;
  readonly series: readonly (Answer & { readonly name: string })[];
}

/** An annotation mark on the panels over time. */
export interface Mark {
  readonly at: number;
  readonly text: string;
  readonly color: string;
}

/** Content of the page. */
export interface Preview {
  readonly dashboard: { readonly title?: string };
  readonly variables: readonly { readonly label: string; readonly value: string }[];
  readonly others: readonly { readonly title: string; readonly url: string }[];
  readonly from: number;
  readonly to: number;
  readonly marks: readonly Mark[];
  readonly panels: readonly {
    readonly type: string;
    readonly title: string;
    readonly description: string;
    readonly gridPos: GridPos;
    readonly options: Readonly<Record<string, unknown>>;
    readonly fieldConfig?: unknown;
    readonly transformations: readonly unknown[];
    readonly answers: readonly TargetAnswer[];
  }[];
}
