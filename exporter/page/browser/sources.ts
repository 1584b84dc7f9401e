import type { LiveHost } from '../live.ts';
import { el, Part } from './dom.ts';

/** Which sources are usable and how to fix the others, as in `kvm-telemetry doctor`. */
export class SourcesView {
  readonly element = el('section', { class: 'sources', 'aria-labelledby': 'sources-title' });
  readonly #part = new Part(this.element);

  update({ sources, lockdown, traceBackend }: LiveHost): void {
    // The numbers of series change all the time, so the list is rebuilt only when something else changes.
    const from = [sources.map(({ series, ...rest }) => [rest, series > 0]), lockdown, traceBackend];
    this.#part.update(from, () => {
      const failing = sources.filter(({ usable }) => !usable);
      const withFindings = sources.filter(({ findings }) => findings.length > 0);
      const head =
        failing.length === 0
          ? `All ${sources.length} sources are usable`
          : `${failing.length} of ${sources.length} sources ${failing.length === 1 ? 'is' : 'are'} not usable`;
      const list = el('ul', { class: 'chips' });
      for (const { source, usable } of sources) {
        const mark = usable ? 'ok' : 'fails';
        list.append(el('li', { class: `chip ${usable ? 'good' : 'bad'}` }, source, el('b', {}, ` ${mark}`)));
      }
      const details = el(
        'details',
        {},
        el('summary', {}, `Findings of doctor (${withFindings.length})`),
        el(
          'p',
          { class: 'muted' },
          `Kernel lockdown: ${lockdown}. Trace events: ${traceBackend ?? 'not counted'}.`,
        ),
      );
      for (const { source, usable, findings } of withFindings)
        details.append(findingsOf(source, usable, findings));
      const title = el('h2', { id: 'sources-title', class: failing.length === 0 ? 'good' : 'bad' }, head);
      const rest = [list, ...(withFindings.length === 0 ? [] : [details])];
      // One line when all is well.
      return failing.length === 0 ? [el('details', {}, el('summary', {}, title), ...rest)] : [title, ...rest];
    });
  }
}

function findingsOf(
  source: string,
  usable: boolean,
  findings: LiveHost['sources'][number]['findings'],
): HTMLElement {
  const list = el('dl', {}, el('dt', { class: usable ? '' : 'bad' }, source));
  for (const { why, fix } of findings) {
    list.append(el('dd', {}, why, ...(fix === undefined ? [] : [el('br'), 'fix: ', el('code', {}, fix)])));
  }
  return list;
}

/** What to do if VMs lack data that the table could show. */
export class Hints {
  readonly element = el('div', { class: 'hints' });
  readonly #part = new Part(this.element);

  update(host: LiveHost | undefined, hasVms: boolean, hasDisks: boolean): void {
    const isTraced = host?.traceBackend !== undefined;
    this.#part.update([hasVms, isTraced, hasDisks], () => [
      ...(hasVms
        ? []
        : [
            el(
              'p',
              { class: 'empty' },
              'No VM found on this host. The exporter finds each process that has /dev/kvm open. Start a VM, or run ',
              el('code', {}, 'kvm-telemetry doctor'),
              '. In a container, share the PID namespace of the host.',
            ),
          ]),
      ...(hasVms && !isTraced
        ? [
            hint(
              'Exits per I/O, exits by reason and queues are unknown, because trace events are not counted. The source ',
              'trace',
              ' below has the reason.',
            ),
          ]
        : []),
      ...(hasVms && !hasDisks
        ? [
            hint(
              'No disk statistics. Give each VM its own QMP socket, ',
              '-qmp unix:/run/kvm-telemetry/qmp/NAME.sock,server=on,wait=off',
              ', or manage it with libvirt. Until then, IOPS are the traced requests to block devices of the host.',
            ),
          ]
        : []),
    ]);
  }
}

function hint(before: string, code: string, after: string): HTMLElement {
  return el('p', { class: 'hint' }, before, el('code', {}, code), after);
}
