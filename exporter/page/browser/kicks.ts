import type { LiveDetail } from '../live.ts';
import { exact } from './format.ts';
import { Grid, type GridRow } from './grid.ts';

const byNumber = new Intl.Collator('en', { numeric: true }).compare;

/** Kicks by vCPU and virtqueue: total counts, coloured by their share. */
export class KicksView {
  readonly #grid = new Grid('Kicks by virtqueue and vCPU', 'kicks');
  readonly element = this.#grid.element;

  /** @returns false if there is nothing to show */
  update({ kicks, queues }: LiveDetail): boolean {
    const vcpus = [...new Set(kicks.map(({ vcpu }) => vcpu))].sort(byNumber);
    const names = [...new Set(kicks.map(({ queue }) => queue))].sort(byNumber);
    const most = Math.max(1, ...kicks.map(({ count }) => count));
    const rows = names.map((queue): GridRow => {
      const about = queues.find((each) => each.queue === queue);
      const own = kicks.filter((each) => each.queue === queue);
      const total = own.reduce((sum, { count }) => sum + count, 0);
      const cells = vcpus.map((vcpu) => {
        const count = own.find((each) => each.vcpu === vcpu)?.count ?? 0;
        const title = `queue ${queue}, vCPU ${vcpu}: ${exact(count)}`;
        return { text: exact(count), title, heat: count / most };
      });
      const device = about === undefined || about.device === '' ? '' : ` ${about.device}`;
      const head = {
        text: `q${queue}${device}`,
        title: about === undefined ? undefined : `at ${about.address}`,
      };
      return { key: queue, cells: [head, ...cells, exact(total)] };
    });
    const heads = [
      { label: 'virtqueue' },
      ...vcpus.map((vcpu) => ({ label: vcpu === 'other' ? vcpu : `vCPU ${vcpu}`, isNumber: true })),
      { label: 'sum', isNumber: true },
    ];
    this.#grid.update(heads, rows);
    return rows.length > 0;
  }
}
