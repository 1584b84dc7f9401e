import type { LiveEvent } from '../live.ts';
import { el, linkTo, Part } from './dom.ts';
import { clock } from './format.ts';

/** Number of events that are shown without a click. */
const FIRST = 6;
const BAD = /_began$/;

/** The time line: events, newest first. */
export class EventsView {
  readonly element = el('section', { class: 'events', 'aria-labelledby': 'events-title' });
  readonly #part = new Part(el('div'));

  /** @param vm the VM whose page is open: its name is not repeated */
  constructor(private readonly vm?: string) {
    this.element.append(el('h2', { id: 'events-title' }, 'Events'), this.#part.element);
  }

  update(all: readonly LiveEvent[]): void {
    const events = all.filter(({ vm }) => this.vm === undefined || vm === this.vm).toReversed();
    this.#part.update(
      events.map(({ id, at }) => [id, at]),
      () => {
        if (events.length === 0) return [el('p', { class: 'empty' }, 'No event since the daemon started.')];
        const [first, more] = [events.slice(0, FIRST), events.slice(FIRST)];
        const rest = el('details', {}, el('summary', {}, `${more.length} earlier`), this.#list(more));
        return [this.#list(first), more.length > 0 ? rest : undefined];
      },
    );
  }

  #list(events: readonly LiveEvent[]): HTMLElement {
    const list = el('ol', { class: 'timeline' });
    for (const { at, vm, kind, what, evidence } of events) {
      const time = el('time', { datetime: new Date(at).toISOString() }, clock(at));
      const name = this.vm === undefined ? el('a', { href: linkTo(vm) }, vm) : undefined;
      const text = el('b', { class: BAD.test(kind) ? 'bad' : '' }, what);
      list.append(
        el('li', { 'data-kind': kind }, time, name, text, el('span', { class: 'muted' }, evidence)),
      );
    }
    return list;
  }
}
