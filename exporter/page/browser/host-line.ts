import type { LiveHost } from '../live.ts';
import { el, setText } from './dom.ts';
import { fixed, plural } from './format.ts';
import type { Rate } from './rates.ts';

/** The host in one line: name, kernel, CPUs, load, APICv. Unknown facts are left out. */
export class HostLine {
  readonly element = el('p', { class: 'host', 'aria-label': 'Host' });
  readonly #name = el('b');
  readonly #facts = el('span');

  constructor() {
    this.element.append(this.#name, this.#facts);
  }

  update(host: LiveHost | undefined, busy: readonly Rate[]): void {
    if (host === undefined) return;
    const nodes = new Set(host.cpus.map(({ node }) => node)).size;
    const known = busy.filter((rate) => rate !== undefined);
    const load = known.length === 0 ? undefined : known.reduce((sum, rate) => sum + rate, 0);
    setText(this.#name, host.name ?? 'This host');
    const facts = [
      host.kernel === undefined ? undefined : `Linux ${host.kernel}`,
      `${plural(host.cpus.length, 'CPU')}${nodes > 1 ? ` on ${nodes} NUMA nodes` : ''}`,
      load === undefined ? undefined : `${fixed(load)} busy`,
      host.apicv === undefined ? undefined : `APICv ${host.apicv ? 'enabled' : 'off'}`,
    ];
    setText(this.#facts, facts.filter((fact) => fact !== undefined).join(' · '));
  }
}
