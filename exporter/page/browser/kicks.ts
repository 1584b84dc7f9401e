import type { LiveDetail } from '../live.ts';
import { exact, count as rateText } from './format.ts';
import { Grid, type GridRow } from './grid.ts';
import { kickKey, type Rate, sumOf } from './rates.ts';

const byNumber = new Intl.Collator('en', { numeric: true }).compare;

/** Kicks per second by vCPU and virtqueue, coloured by their share. The tooltip has the counter. */
export class KicksView {
  readonly #grid = new Grid('Kicks by virtqueue and vCPU', 'kicks');
  readonly element = this.#grid.element;

  /**
   * @param rates by {@link kickKey}
   * @returns false if there is nothing to show
   */
  update({ kicks, queues }: LiveDetail, rates: Readonly<Record<string, Rate>>): boolean {
    const vcpus = [...new Set(kicks.map(({ vcpu }) => vcpu))].sort(byNumber);
    const names = [...new Set(kicks.map(({ queue }) => queue))].sort(byNumber);
    const most = Math.max(1, ...Object.values(rates).map((rate) => rate ?? 0));
    const rows = names.map((queue): GridRow => {
      const about = queues.find((each) => each.queue === queue);
      const own = kicks.filter((each) => each.queue === queue);
      const total = own.reduce((sum, { count }) => sum + count, 0);
      const keys = new Set(own.map(kickKey));
      const sum = sumOf(rates, (key) => keys.has(key));
      const cells = vcpus.map((vcpu) => {
        const kick = own.find((each) => each.vcpu === vcpu);
        if (kick === undefined) return { text: '0', title: `queue ${queue}, vCPU ${vcpu}: 0`, heat: 0 };
        const rate = rates[kickKey(kick)];
        const title = `queue ${queue}, vCPU ${vcpu}: ${exact(kick.count)} in all`;
        return { text: rateText(rate), title, heat: (rate ?? 0) / most };
      });
      const device = about === undefined || about.device === '' ? '' : ` ${about.device}`;
      const head = {
        text: `q${queue}${device}`,
        title: about === undefined ? undefined : `at ${about.address}`,
      };
      return {
        key: queue,
        cells: [head, ...cells, { text: rateText(sum), title: `${exact(total)} in all` }],
      };
    });
    const heads = [
      { label: 'kicks per s' },
      ...vcpus.map((vcpu) => ({ label: vcpu === 'other' ? vcpu : `vCPU ${vcpu}`, isNumber: true })),
      { label: 'sum', isNumber: true },
    ];
    this.#grid.update(heads, rows);
    return rows.length > 0;
  }
}
