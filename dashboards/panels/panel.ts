import {
  type FieldConfig,
  MappingType,
  type MatcherConfig,
  type Threshold,
  ThresholdsMode,
  type ValueMapping,
} from '@grafana/schema';
import dashgen from 'grafana-dash-gen';
import type { Query } from '../queries.ts';

export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;

/** Grafana's ids of the units in use. */
export type Unit =
  | 'short'
  | 'none'
  | 'percent'
  | 'percentunit'
  | 's'
  | 'bytes'
  | 'Bps'
  | 'cps'
  | 'ops'
  | 'iops'
  | 'bool_yes_no'
  | 'dateTimeFromNow'
  | 'suffix:×'
  | 'suffix:cores';

/** From a value to somewhere else. */
export interface DataLink {
  readonly title: string;
  readonly url: string;
}

export interface Override {
  readonly matcher: MatcherConfig;
  readonly properties: readonly { readonly id: string; readonly value: unknown }[];
}

export interface Transformation {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What every panel has. Twenty-four columns are a line. */
export interface PanelSpec {
  readonly title: string;
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly queries: readonly Query[];
  readonly unit?: Unit;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  /** Steps of colour, ascending, the first one from below. */
  readonly thresholds?: readonly Threshold[];
  readonly mappings?: readonly ValueMapping[];
  readonly overrides?: readonly Override[];
  readonly transformations?: readonly Transformation[];
  readonly links?: readonly DataLink[];
  /** What is said where nothing is found, which then is as it should be. */
  readonly emptyIsGood?: string;
}

/** What a class of panels adds to it. */
interface PanelKind {
  readonly type: string;
  readonly options: object;
  readonly custom?: object;
  readonly color?: { readonly mode: string; readonly fixedColor?: string };
}

/** A panel of today's Grafana, in the place of grafana-dash-gen's text panel. */
export class Panel extends dashgen.Panels.Text {
  constructor(spec: PanelSpec, kind: PanelKind) {
    super({ title: spec.title });
    Object.assign(this.state, {
      type: kind.type,
      description: spec.description,
      options: kind.options,
      ...(spec.queries.length === 0
        ? {}
        : {
            datasource: DATASOURCE,
            targets: spec.queries.map((query, i) => targetOf(query, i)),
            fieldConfig: { defaults: defaultsOf(spec, kind), overrides: spec.overrides ?? [] },
            ...(spec.transformations === undefined ? {} : { transformations: spec.transformations }),
          }),
      size: { w: spec.width, h: spec.height },
    });
  }
}

function targetOf({ expr, legend, kind }: Query, i: number): object {
  const isRange = kind === 'range' || kind === 'heatmap';
  return {
    refId: String.fromCharCode('A'.charCodeAt(0) + i),
    datasource: DATASOURCE,
    editorMode: 'code',
    expr,
    format: { range: 'time_series', instant: 'time_series', table: 'table', heatmap: 'heatmap' }[kind],
    instant: !isRange,
    range: isRange,
    legendFormat: legend === '' ? '__auto' : legend,
  };
}

function defaultsOf(spec: PanelSpec, kind: PanelKind): FieldConfig<object> {
  const { unit, decimals, min, max, thresholds, mappings, links, emptyIsGood } = spec;
  const given = { unit, decimals, min, max, links, noValue: emptyIsGood };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    color: kind.color ?? { mode: 'palette-classic' },
    custom: kind.custom ?? {},
    mappings: [...(mappings ?? [])],
    thresholds: { mode: ThresholdsMode.Absolute, steps: [...(thresholds ?? above([]))] },
  } as FieldConfig<object>;
}

/** Green, and from each limit on another colour. */
export function above(
  limits: readonly (readonly [value: number, color: string])[],
  base = 'green',
): Threshold[] {
  return [{ color: base, value: null }, ...limits.map(([value, color]) => ({ color, value }))];
}

/** What values are called, and their colours. */
export function named(texts: Readonly<Record<string, readonly [text: string, color: string]>>): ValueMapping {
  const options = Object.entries(texts).map(([value, [text, color]], index) => [
    value,
    { text, color, index },
  ]);
  return { type: MappingType.ValueToText, options: Object.fromEntries(options) };
}

/** Settings of the field with this name. */
export function field(name: string, properties: Readonly<Record<string, unknown>>): Override {
  return {
    matcher: { id: 'byName', options: name },
    properties: Object.entries(properties).map(([id, value]) => ({ id, value })),
  };
}
