import {
  GraphDrawStyle,
  GraphGradientMode,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LineInterpolation,
  ScaleDistribution,
  SortOrder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
} from '@grafana/schema';
import type {
  FieldConfig,
  Options,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import { Panel, type PanelSpec, type Unit } from './panel.ts';

interface TimeSeriesSpec extends PanelSpec {
  readonly stacked?: boolean;
  readonly steps?: boolean;
  readonly logarithmic?: boolean;
  /** Counts of things: the axis has whole numbers only. */
  readonly integers?: boolean;
  /** Legend as a table on the right, largest first: for more than a handful of series. */
  readonly many?: boolean;
}

/** Grafana would show three significant digits, however small the value is: 0.00559%. */
const DECIMALS: Readonly<Record<string, number>> = { none: 2, percentunit: 1 };
/** Labels of an axis that are different with these decimals; a shorter axis would have 0 0 0 1 1 1. */
const LABELS = 5;

function shortestAxis(decimals: number, unit: Unit | undefined): number {
  return LABELS * 10 ** -(decimals + (unit === 'percentunit' ? 2 : 0));
}

/** Lines over time. A missing series is a gap, not 0: the work of a VM that no longer exists is unknown. */
export class TimeSeries extends Panel {
  constructor(spec: TimeSeriesSpec) {
    const isMany = spec.many === true;
    const options: Options = {
      legend: {
        calcs: isMany ? ['mean', 'max'] : ['lastNotNull'],
        displayMode: isMany ? LegendDisplayMode.Table : LegendDisplayMode.List,
        placement: isMany ? 'right' : 'bottom',
        showLegend: true,
        ...(isMany ? { sortBy: 'Mean', sortDesc: true } : {}),
      },
      tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
    };
    const decimals = spec.integers === true ? 0 : (spec.decimals ?? DECIMALS[spec.unit ?? '']);
    const custom: FieldConfig = {
      drawStyle: GraphDrawStyle.Line,
      fillOpacity: spec.stacked === true ? 30 : 6,
      gradientMode: GraphGradientMode.None,
      lineInterpolation: spec.steps === true ? LineInterpolation.StepAfter : LineInterpolation.Linear,
      lineWidth: 1,
      scaleDistribution:
        spec.logarithmic === true
          ? { type: ScaleDistribution.Log, log: 10 }
          : { type: ScaleDistribution.Linear },
      ...(decimals === undefined ? {} : { axisSoftMax: shortestAxis(decimals, spec.unit) }),
      showPoints: VisibilityMode.Never,
      spanNulls: false,
      stacking: { mode: spec.stacked === true ? StackingMode.Normal : StackingMode.None, group: 'A' },
      thresholdsStyle: {
        mode: spec.thresholds === undefined ? GraphThresholdsStyleMode.Off : GraphThresholdsStyleMode.Dashed,
      },
    };
    super(
      { ...spec, ...(decimals === undefined ? {} : { decimals }) },
      { type: 'timeseries', options, custom },
    );
  }
}
