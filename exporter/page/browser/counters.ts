import type { LiveDetail, LiveVm } from '../live.ts';
import { COLUMNS } from './columns.ts';
import { el } from './dom.ts';
import { exact } from './format.ts';
import { Grid } from './grid.ts';

/** The counters behind the page, as in /metrics, for verification. Updated only while the section is open. */
export class CountersView {
  readonly #grid = new Grid('Counters as in /metrics', 'counters');
  readonly element = el(
    'details',
    { class: 'counters' },
    el('summary', {}, 'Counters, as in /metrics'),
    this.#grid.element,
  );

  constructor(onOpen: () => void) {
    this.element.addEventListener('toggle', onOpen);
  }

  update(vm: LiveVm, detail: LiveDetail | undefined): void {
    if (!this.element.open) return;
    const all = new Map<string, number>();
    for (const column of COLUMNS) for (const [metric, value] of column.raw(vm)) all.set(metric, value);
    for (const [reason, value] of Object.entries(detail?.reasons ?? {})) {
      all.set(`kvm_vm_exits_by_reason_total{reason="${reason}"}`, value);
    }
    for (const { thread, cpu } of detail?.threads ?? []) all.set(`kvm_thread_cpu{thread="${thread}"}`, cpu);
    for (const { queue, vcpu, count } of detail?.kicks ?? []) {
      all.set(`kvm_virtqueue_kicks_total{queue="${queue}",vcpu="${vcpu}"}`, count);
    }
    this.#grid.update(
      [{ label: 'series' }, { label: 'value', isNumber: true }],
      [...all].map(([metric, value]) => ({ key: metric, cells: [metric, exact(value)] })),
    );
  }
}
