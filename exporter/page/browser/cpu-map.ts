import type { LiveCpu, LiveDetail, LiveHost } from '../live.ts';
import { el, Part, setAttribute, setText } from './dom.ts';
import { percent, shortThread } from './format.ts';
import type { Rate } from './rates.ts';

/** Number of node colours in the style sheet. */
const NODE_COLOURS = 8;

interface PlacedThread {
  readonly thread: string;
  readonly role: string;
  readonly drift: string;
}

/** The host's CPUs by NUMA node and core, with the VM's threads on them. */
export class CpuMap {
  readonly element = el('div', { class: 'cpu-map' });
  readonly #part = new Part(this.element);
  readonly #cells = new Map<number, { cell: HTMLElement; busy: HTMLElement; part: Part }>();

  update(host: LiveHost, busy: readonly Rate[], detail: LiveDetail): void {
    this.#part.update(host.cpus, () => this.#build(host.cpus));
    const byCpu = new Map<number, PlacedThread[]>();
    for (const { thread, role, cpu } of detail.threads) {
      const drift = (detail.report?.drifts ?? [])
        .filter((each) => each.thread === thread)
        .map(({ kind }) => kind.replaceAll('_', ' '))
        .join(', ');
      byCpu.set(cpu, [...(byCpu.get(cpu) ?? []), { thread, role, drift }]);
    }
    for (const [i, { cpu }] of host.cpus.entries()) {
      const made = this.#cells.get(cpu);
      if (made === undefined) continue;
      const here = byCpu.get(cpu) ?? [];
      const ratio = busy[i];
      setText(made.busy, ratio === undefined ? '' : percent(ratio));
      made.cell.style.setProperty('--busy', String(Math.min(1, ratio ?? 0)));
      setAttribute(made.cell, 'data-drift', here.some(({ drift }) => drift !== '') ? 'true' : undefined);
      made.part.update(here, () =>
        here.map(({ thread, role, drift }) =>
          el(
            'span',
            {
              class: `thread r-${role}${drift === '' ? '' : ' drifting'}`,
              title: drift === '' ? thread : `${thread}: ${drift}`,
              'data-thread': thread,
            },
            el('span', { 'aria-hidden': 'true' }, shortThread(thread)),
            el('span', { class: 'hidden' }, drift === '' ? thread : `${thread} drifts: ${drift}`),
          ),
        ),
      );
    }
  }

  #build(cpus: readonly LiveCpu[]): HTMLElement[] {
    this.#cells.clear();
    const nodes = [...new Set(cpus.map(({ node }) => node))].sort((a, b) => Number(a) - Number(b));
    return nodes.map((node, i) => {
      const list = el('ul', { class: 'cpus' });
      const own = cpus.filter((cpu) => cpu.node === node);
      for (const cpu of own.sort((a, b) => coreOf(a) - coreOf(b) || a.cpu - b.cpu))
        list.append(this.#cell(cpu));
      const name = node === '' ? 'CPUs' : `NUMA node ${node}`;
      return el(
        'div',
        { class: `node n${i % NODE_COLOURS}`, role: 'group', 'aria-label': name },
        el('h4', {}, name, el('small', {}, `${own.length} CPU${own.length === 1 ? '' : 's'}`)),
        list,
      );
    });
  }

  #cell({ cpu, core, package: inPackage, siblings, isolated }: LiveCpu): HTMLElement {
    const threads = el('div', { class: 'here' });
    const busy = el('span', { class: 'busy' });
    const about = [
      `core ${core} of package ${inPackage}`,
      `siblings ${siblings}`,
      isolated ? 'isolated' : '',
    ];
    const cell = el(
      'li',
      {
        class: `cpu${isolated ? ' isolated' : ''}`,
        'data-cpu': String(cpu),
        title: about.filter(Boolean).join(', '),
      },
      el(
        'div',
        { class: 'cpu-head' },
        el('b', {}, el('span', { class: 'hidden' }, 'CPU '), String(cpu)),
        busy,
      ),
      threads,
    );
    this.#cells.set(cpu, { cell, busy, part: new Part(threads) });
    return cell;
  }
}

/** Places siblings side by side. */
function coreOf({ package: inPackage, core }: LiveCpu): number {
  return Number(inPackage) * 10_000 + Number(core);
}
