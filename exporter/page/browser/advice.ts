import type { LiveReport } from '../live.ts';
import { command } from './command.ts';
import { el, Part } from './dom.ts';
import { words } from './format.ts';

/** Drift in a VM, the requirements of the next stage, and the commands for both. */
export class AdviceView {
  readonly element = el('div', { class: 'advice' });
  readonly #part = new Part(this.element);

  update(report: LiveReport | undefined): void {
    const { drifts: found, next, features: known, plan: steps, techniques: judged } = report ?? {};
    this.#part.update([found, next, known, steps, judged], () => {
      if (report === undefined) {
        return [el('p', { class: 'empty' }, 'No assessment yet. The first one takes a few seconds.')];
      }
      return [techniques(report), drifts(report), nextStage(report), plan(report), features(report)];
    });
  }
}

function techniques({ techniques }: LiveReport): HTMLElement {
  const list = el('ul', { class: 'drifts techniques' });
  for (const { technique, state, text } of techniques) {
    const kind = state === 'in_force' ? 'good' : state === 'lost' ? 'bad' : state === 'partly' ? 'warn' : '';
    const attributes = { 'data-technique': technique, 'data-state': state };
    list.append(el('li', attributes, el('span', { class: `badge ${kind}` }, words(state)), ` ${text}`));
  }
  return el('div', {}, el('h3', {}, 'Techniques'), list);
}

function drifts({ drifts, threads, techniques }: LiveReport): HTMLElement {
  const box = el('div', {}, el('h3', {}, 'Drift'));
  if (drifts.length === 0) {
    const isPinned = techniques.every(({ technique, state }) => technique !== 'affinity' || state !== 'off');
    // Only an expectation with a source, such as `2 (libvirt)`, can be met.
    const isKnown = isPinned && threads.some(({ expected }) => expected.endsWith(')'));
    const text = isKnown
      ? 'All threads with an expected affinity have it.'
      : !isPinned
        ? 'Not pinned: no thread has CPUs of its own, so there is no drift.'
        : 'No thread has an expected affinity. Pin the threads with libvirt or taskset, or add the VM to vms in the configuration.';
    box.append(el('p', { class: isKnown ? 'good' : 'empty' }, text));
  }
  const list = el('ul', { class: 'drifts' });
  // One command often fixes several drifts.
  for (const fix of new Set(drifts.map((drift) => drift.fix))) {
    const item = el('li');
    for (const { thread, kind, why } of drifts.filter((drift) => drift.fix === fix)) {
      const about = el('span', { class: 'badge bad' }, words(kind));
      const attributes = { class: 'drift', 'data-thread': thread, 'data-kind': kind };
      item.append(el('div', attributes, el('b', {}, thread), ' ', about, ` ${why}`));
    }
    if (fix !== undefined) item.append(command(fix));
    list.append(item);
  }
  if (drifts.length > 0) box.append(list);
  return box;
}

function nextStage({ next }: LiveReport): HTMLElement | undefined {
  if (next === undefined) return undefined;
  const list = el('ul', { class: 'drifts' });
  for (const { missing, fixes } of next.steps) {
    list.append(el('li', {}, el('b', {}, words(missing)), ...fixes.map((fix) => command(fix))));
  }
  return el(
    'div',
    {},
    el('h3', {}, `Missing for ${words(next.stage)}`, el('small', {}, `paper, ${next.section}`)),
    list,
  );
}

/** The commands above as one list, and those that take them back. */
function plan({ plan: { steps, undo, left } }: LiveReport): HTMLElement | undefined {
  if (steps.length === 0 && left.length === 0) return undefined;
  const box = el('details', { class: 'plan' }, el('summary', {}, 'The plan in order, and its undo'));
  if (steps.length > 0) {
    const inOrder = (commands: readonly string[]): HTMLElement =>
      el('ol', {}, ...commands.map((each) => el('li', {}, command(each))));
    box.append(inOrder(steps.map((step) => step.command)), el('h4', {}, 'Undo, in this order'));
    box.append(undo.length > 0 ? inOrder(undo) : el('p', { class: 'empty' }, 'No command has an undo.'));
    const final = steps.filter((step) => step.undo === undefined);
    if (undo.length > 0 && final.length > 0)
      box.append(
        el('p', { class: 'empty' }, `Without undo: ${final.map((step) => step.command).join('; ')}`),
      );
  }
  if (left.length > 0) {
    const items = left.map(({ thread, why }) => el('li', {}, el('b', {}, thread), ` ${why}`));
    box.append(el('h4', {}, 'Not repaired by any command'), el('ul', { class: 'drifts' }, ...items));
  }
  return box;
}

function features({ features }: LiveReport): HTMLElement | undefined {
  const names = Object.keys(features);
  if (names.length === 0) return undefined;
  const on = names.filter((name) => features[name] === 1);
  const off = names.filter((name) => features[name] !== 1);
  return el('div', {}, el('h3', {}, 'Features'), chips('On', 'good', on), chips('Off', 'off', off));
}

function chips(title: string, kind: string, names: readonly string[]): HTMLElement | undefined {
  if (names.length === 0) return undefined;
  const items = names.map((name) => el('li', { class: `chip ${kind}` }, words(name)));
  return el('div', {}, el('h4', {}, title), el('ul', { class: 'chips', 'aria-label': title }, ...items));
}
