import {
  type Options,
  TextMode,
} from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import { Panel } from './panel.ts';

/** The text of the first row: the question that the dashboard answers, and how to read it. */
export class Question extends Panel {
  constructor(content: string, height = 2) {
    const options: Options = { mode: TextMode.Markdown, content };
    super({ title: '', description: '', width: 24, height, queries: [] }, { type: 'text', options });
  }
}
