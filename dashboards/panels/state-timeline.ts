import { LegendDisplayMode, SortOrder, TooltipDisplayMode, VisibilityMode } from '@grafana/schema';
import type {
  FieldConfig,
  Options,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import { Panel, type PanelSpec } from './panel.ts';

interface StateTimelineSpec extends PanelSpec {
  /** A color per value, instead of threshold colors. */
  readonly colourful?: boolean;
  /** False where the bars name their values themselves. */
  readonly legend?: boolean;
}

/** States of each series over time. Adjacent equal values are merged. */
export class StateTimeline extends Panel {
  constructor(spec: StateTimelineSpec) {
    const options: Options = {
      alignValue: 'left',
      legend: {
        calcs: [],
        displayMode: LegendDisplayMode.List,
        placement: 'bottom',
        showLegend: spec.legend ?? spec.mappings !== undefined,
      },
      mergeValues: true,
      rowHeight: 0.85,
      showValue: VisibilityMode.Auto,
      tooltip: { mode: TooltipDisplayMode.Single, sort: SortOrder.None },
    };
    const custom: FieldConfig = { fillOpacity: 75, lineWidth: 0 };
    const mode = spec.colourful === true ? 'continuous-BlYlRd' : 'thresholds';
    super(spec, { type: 'state-timeline', options, custom, color: { mode } });
  }
}
