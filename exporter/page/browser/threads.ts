import type { LiveDetail } from '../live.ts';
import { count, NONE, percent, words } from './format.ts';
import { Grid } from './grid.ts';
import type { ThreadRates } from './store.ts';

const HEADS = [
  { label: 'thread' },
  { label: 'tid', isNumber: true },
  { label: 'on CPU', isNumber: true, help: 'The CPU on which the thread last ran' },
  { label: 'node', isNumber: true },
  { label: 'allowed CPUs', help: 'Affinity mask' },
  { label: 'expected CPUs', help: 'Expected affinity and its origin' },
  { label: 'busy', isNumber: true, help: 'Share of a CPU' },
  { label: 'wait ms/s', isNumber: true, help: 'Time in run queues' },
  { label: 'moves/s', isNumber: true, help: 'Observed moves to another CPU' },
  { label: 'drift' },
];

/** Current, allowed and expected CPUs of a VM's threads. */
export class ThreadsView {
  readonly #grid = new Grid('Threads of the VM', 'threads');
  readonly element = this.#grid.element;

  update({ threads, report }: LiveDetail, rates: ReadonlyMap<string, ThreadRates>): void {
    this.#grid.update(
      HEADS,
      threads.map(({ thread, role, cpu, node }) => {
        const reported = report?.threads.find((each) => each.thread === thread);
        const drifts = (report?.drifts ?? []).filter((each) => each.thread === thread);
        const rate = rates.get(thread);
        const wait = rate?.wait === undefined ? undefined : rate.wait * 1000;
        return {
          key: thread,
          class: drifts.length > 0 ? 'drifting' : undefined,
          cells: [
            { text: thread, title: role },
            reported === undefined ? NONE : String(reported.tid),
            String(cpu),
            node === undefined ? NONE : String(node),
            reported?.allowed ?? NONE,
            reported === undefined || reported.expected === '' ? NONE : reported.expected,
            percent(rate?.run),
            count(wait),
            count(rate?.migrations),
            drifts.map(({ kind }) => words(kind)).join(', ') || 'none',
          ],
        };
      }),
    );
  }
}
