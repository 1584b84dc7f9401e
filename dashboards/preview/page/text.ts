import { h } from './dom.ts';
import type { View } from './view.ts';

/** The Markdown that the dashboards use: bold and code. */
export function text(view: View): HTMLElement {
  const parts = String(view.options['content']).split(/(\*\*[^*]+\*\*|`[^`]+`)/);
  const nodes = parts.map((part) => {
    if (part.startsWith('**')) return h('strong', {}, part.slice(2, -2));
    if (part.startsWith('`')) return h('code', {}, part.slice(1, -1));
    return part;
  });
  return h('p', {}, ...nodes);
}
