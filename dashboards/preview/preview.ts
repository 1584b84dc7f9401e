import type { GridPos } from '@grafana/schema';

/** A series as Prometheus answers: an instant query has `value`, one over a range `values`. */
export interface Answer {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

/** What a query of a panel gave. */
export interface TargetAnswer {
  readonly refId: string;
  readonly format: 'time_series' | 'table' | 'heatmap';
  readonly isInstant: boolean;
  readonly series: readonly (Answer & { readonly name: string })[];
}

/** A mark on the panels over time. */
export interface Mark {
  readonly at: number;
  readonly text: string;
  readonly color: string;
}

/** What the page shows. */
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
