import { LegendDisplayMode, SortOrder, TooltipDisplayMode, VisibilityMode } from '@grafana/schema';
import type {
  FieldConfig,
  Options,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import { Panel, type PanelSpec } from './panel.ts';

interface StateTimelineSpec extends PanelSpec {
  /** Each value in a colour of its own, instead of the thresholds'. */
  readonly colourful?: boolean;
}

/** What each series was, and since when: equal values next to each other are one. */
export class StateTimeline extends Panel {
  constructor(spec: StateTimelineSpec) {
    const options: Options = {
      alignValue: 'left',
      legend: {
        calcs: [],
        displayMode: LegendDisplayMode.List,
        placement: 'bottom',
        showLegend: spec.mappings !== undefined,
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
