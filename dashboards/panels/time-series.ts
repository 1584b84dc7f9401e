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
import { Panel, type PanelSpec } from './panel.ts';

interface TimeSeriesSpec extends PanelSpec {
  readonly stacked?: boolean;
  readonly steps?: boolean;
  readonly logarithmic?: boolean;
  /** Legend as a table on the right, largest first: for more than a handful of series. */
  readonly many?: boolean;
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
      showPoints: VisibilityMode.Never,
      spanNulls: false,
      stacking: { mode: spec.stacked === true ? StackingMode.Normal : StackingMode.None, group: 'A' },
      thresholdsStyle: {
        mode: spec.thresholds === undefined ? GraphThresholdsStyleMode.Off : GraphThresholdsStyleMode.Dashed,
      },
    };
    // For ratios Grafana would show three significant digits, however small the value is.
    const decimals = spec.decimals ?? (spec.unit === 'none' ? 2 : undefined);
    super(
      { ...spec, ...(decimals === undefined ? {} : { decimals }) },
      { type: 'timeseries', options, custom },
    );
  }
}
