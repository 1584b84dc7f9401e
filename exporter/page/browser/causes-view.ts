import type { LiveCauses } from '../live.ts';
import { causesInWords, restInWords, worseningInWords } from './causes-in-words.ts';
import { el, Part } from './dom.ts';
import { clock } from './format.ts';

/** The changes in the minutes in which the VM's I/O became worse. */
export class CausesView {
  readonly element = el('section', { class: 'causes', 'aria-labelledby': 'causes-title' });
  readonly #part = new Part(el('div'));

  constructor() {
    this.element.append(el('h2', { id: 'causes-title' }, 'Is its I/O worse?'), this.#part.element);
  }

  update(found: LiveCauses | undefined): void {
    this.element.hidden = found === undefined;
    if (found === undefined) return;
    this.#part.update(found, () => {
      const isWorse = found.worsening !== undefined;
      const head = el('p', { class: isWorse ? 'bad' : 'empty' }, worseningInWords(found, clock));
      const list = el('ol', { class: 'timeline' });
      for (const { name, share, text } of causesInWords(found))
        list.append(
          el('li', {}, el('b', {}, name), el('span', {}, share), el('span', { class: 'muted' }, text)),
        );
      const rest = restInWords(found);
      return [
        head,
        found.causes.length === 0 ? undefined : el('p', {}, 'Changed in the same minutes, strongest first:'),
        found.causes.length === 0 ? undefined : list,
        rest === undefined ? undefined : el('p', { class: 'empty' }, rest),
      ];
    });
  }
}
