import type { LiveAlerts } from '../live.ts';
import { command } from './command.ts';
import { el, linkTo, Part } from './dom.ts';

/** Firing alerts of the Prometheus; empty without `--web.prometheus-url`. */
export class AlertsView {
  readonly element = el('section', { class: 'alerts', 'aria-labelledby': 'alerts-title', hidden: '' });
  readonly #part = new Part(this.element);

  /** @param vm only alerts of this VM, and without its name */
  constructor(private readonly vm?: string) {}

  update(all: LiveAlerts | undefined): void {
    const shown = all?.alerts.filter(({ vm }) => this.vm === undefined || vm === this.vm) ?? [];
    this.element.hidden = all === undefined || (this.vm !== undefined && shown.length === 0);
    this.#part.update([shown, all?.problem], () => {
      if (all?.problem !== undefined)
        return [
          title('Alerts: unknown', 'muted'),
          el('p', { class: 'empty' }, `Prometheus: ${all.problem}.`),
        ];
      if (shown.length === 0) return [title('No alert fires', 'good')];
      const list = el('ul', { class: 'timeline' });
      for (const { name, vm, severity, summary, steps } of shown) {
        const kind = severity === 'critical' ? 'bad' : 'warn';
        list.append(
          el(
            'li',
            { 'data-alert': name },
            el('span', { class: `badge ${kind}` }, severity === '' ? 'firing' : severity),
            el('b', {}, name),
            vm === undefined || this.vm !== undefined ? undefined : el('a', { href: linkTo(vm) }, vm),
            el('span', { class: 'muted' }, summary),
            steps.length === 0
              ? undefined
              : el('details', {}, el('summary', {}, 'First 60 seconds'), command(steps.join('\n'))),
          ),
        );
      }
      return [title(shown.length === 1 ? '1 alert fires' : `${shown.length} alerts fire`, 'bad'), list];
    });
  }
}

function title(text: string, kind: string): HTMLElement {
  return el('h2', { id: 'alerts-title', class: kind }, text);
}
