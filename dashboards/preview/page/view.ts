import type { Threshold } from '@grafana/schema';
import type { Mark, TargetAnswer } from '../preview.ts';

interface MappingResult {
  readonly text?: string;
  readonly color?: string;
}

/** The parts of fieldConfig that the preview uses. */
export interface Field {
  readonly unit?: string;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  readonly noValue?: string;
  readonly color: { readonly mode: string; readonly fixedColor?: string };
  readonly custom: Readonly<Record<string, unknown>>;
  readonly mappings: readonly {
    readonly type: string;
    readonly options: Readonly<Record<string, MappingResult>>;
  }[];
  readonly thresholds: { readonly steps: readonly Threshold[] };
  readonly links?: readonly { readonly title: string; readonly url: string }[];
}

/** A panel with its query results and its size. */
export interface View {
  readonly title: string;
  readonly type: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly transformations: readonly unknown[];
  readonly answers: readonly TargetAnswer[];
  readonly marks: readonly Mark[];
  readonly from: number;
  readonly to: number;
  readonly width: number;
  readonly height: number;
  /** Settings of a field by its name, and by the refId of its query. */
  field(name: string, refId?: string): Field;
}

interface Override {
  readonly matcher: { readonly id: string; readonly options: string };
  readonly properties: readonly { readonly id: string; readonly value: unknown }[];
}

export function fieldsOf(config: { readonly defaults: Field; readonly overrides: readonly Override[] }) {
  return (name: string, refId?: string): Field => {
    const matching = config.overrides.filter(({ matcher }) =>
      matcher.id === 'byName' ? matcher.options === name : matcher.options === refId,
    );
    const changed = matching.flatMap(({ properties }) => properties.map(({ id, value }) => [id, value]));
    const custom = changed.flatMap(([id, value]) =>
      String(id).startsWith('custom.') ? [[String(id).slice(7), value]] : [],
    );
    const { defaults } = config;
    return {
      ...defaults,
      ...Object.fromEntries(changed),
      custom: { ...defaults.custom, ...Object.fromEntries(custom) },
    };
  };
}

/** The value mapping of a value, if it has one. */
export function mapped({ mappings }: Field, value: string | number): MappingResult | undefined {
  return mappings.map(({ options }) => options[String(value)]).find((result) => result !== undefined);
}
