import { AdviceView } from './advice.ts';
import { AlertsView } from './alerts-view.ts';
import { CausesView } from './causes-view.ts';
import { COLUMNS, type Row } from './columns.ts';
import { CountersView } from './counters.ts';
import { CpuMap } from './cpu-map.ts';
import { el, Part, setAttribute, setText } from './dom.ts';
import { EventsView } from './events-view.ts';
import { count, duration, plural, words } from './format.ts';
import { Grid } from './grid.ts';
import { KicksView } from './kicks.ts';
import type { Store } from './store.ts';
import { ThreadsView } from './threads.ts';
import { stageInWords, verdictLine } from './verdicts.ts';
import { VmCharts } from './vm-charts.ts';

/** The page of one VM. */
export class VmView {
  readonly element = el('article', { class: 'vm' });
  readonly #badges = new Part(el('p', { class: 'badges' }));
  readonly #verdict = el('p', { class: 'verdict' });
  readonly #hidden = new Part(el('ul', { class: 'hidden-io' }));
  readonly #tiles = new Map<string, HTMLElement>();
  readonly #notRunning = el('p', { class: 'empty', role: 'status' });
  readonly #body = el('div');
  readonly #map = new CpuMap();
  readonly #threads = new ThreadsView();
  readonly #advice = new AdviceView();
  readonly #causes = new CausesView();
  readonly #charts: VmCharts;
  readonly #events: EventsView;
  readonly #alerts: AlertsView;
  readonly #kicks = new KicksView();
  readonly #noKicks = el('p', { class: 'empty' });
  readonly #latencies = new Grid('Exit latency by reason', 'latencies');
  readonly #noLatencies = el('p', { class: 'empty' });
  readonly #counters: CountersView;

  constructor(
    readonly vm: string,
    private readonly store: Store,
    listHash: string,
  ) {
    this.#charts = new VmCharts(vm);
    this.#events = new EventsView(vm);
    this.#alerts = new AlertsView(vm);
    this.#counters = new CountersView(() => this.update());
    this.element.append(
      el('p', {}, el('a', { href: listHash, class: 'back' }, '← all VMs')),
      el('div', { class: 'bar' }, el('h1', {}, vm), this.#badges.element),
      this.#verdict,
      this.#hidden.element,
      this.#notRunning,
      this.#body,
    );
    this.#body.append(
      this.#makeTiles(),
      this.#alerts.element,
      this.#causes.element,
      section('Threads on CPUs', this.#map.element, el('div', { class: 'wide' }, this.#threads.element)),
      section('Affinity and stage', this.#advice.element),
      section('Last hour', this.#charts.element),
      this.#events.element,
      section(
        'Kicks by virtqueue and vCPU',
        this.#noKicks,
        el('div', { class: 'wide' }, this.#kicks.element),
      ),
      section(
        'Exit latency by reason',
        this.#noLatencies,
        el('div', { class: 'wide' }, this.#latencies.element),
      ),
      this.#counters.element,
    );
  }

  update(): void {
    const { store, vm } = this;
    const row = store.row(vm);
    this.#notRunning.hidden = row !== undefined;
    this.#body.hidden = row === undefined;
    if (row === undefined) {
      setText(
        this.#notRunning,
        store.last === undefined
          ? 'Waiting for the first collection …'
          : `No VM with the name “${vm}” runs on this host.`,
      );
      return;
    }
    this.#head(row);
    const { techniques, hidden } = row.vm;
    this.#hidden.element.hidden = hidden.length === 0;
    this.#hidden.update([hidden], () =>
      hidden.map(({ text }) => el('li', {}, `Not visible to the host: ${text}`)),
    );
    this.#verdict.hidden = techniques.length === 0;
    setText(this.#verdict, verdictLine(techniques, row.at, row.hour));
    for (const column of COLUMNS) {
      const tile = this.#tiles.get(column.key);
      if (tile === undefined) continue;
      if (column.key !== 'drift') setText(tile, column.text(row));
      else {
        setText(tile, count(row.vm.drift?.threads));
        setAttribute(tile, 'class', row.vm.drift?.threads ? 'value bad' : 'value');
      }
    }
    const detail = store.detail(vm);
    this.#charts.update(store);
    this.#events.update(store.events);
    this.#alerts.update(store.alerts);
    this.#causes.update(store.causes(vm));
    this.#counters.update(row.vm, detail);
    if (detail === undefined || store.host === undefined) return;
    this.#map.update(store.host, store.cpuBusy, detail);
    this.#threads.update(detail, store.threadRates(vm));
    this.#advice.update(detail.report);
    const hasKicks = this.#kicks.update(detail, store.kickRates(vm));
    this.#kicks.element.hidden = !hasKicks;
    this.#noKicks.hidden = hasKicks;
    setText(
      this.#noKicks,
      store.host.traceBackend === undefined
        ? 'Trace events are not counted. The source trace on the first page has the reason.'
        : store.host.traceBackend === 'perf'
          ? 'perf does not count kicks by virtqueue. This requires a kernel with CONFIG_HIST_TRIGGERS.'
          : 'No kicks yet. A VM that polls has none.',
    );
    this.#latency();
  }

  destroy(): void {
    this.#charts.destroy();
  }

  #head({ vm, conditions }: Row): void {
    const stage = stageInWords(vm);
    const grafana = this.store.host?.grafanaUrl?.replace(/\/+$/, '');
    this.#badges.update(
      [
        conditions,
        vm.stage,
        vm.inForce,
        vm.techniques,
        vm.phase,
        vm.state,
        vm.silent,
        vm.vcpus,
        vm.pid,
        grafana,
      ],
      () => [
        badge(stage === undefined ? undefined : `stage: ${stage}`),
        badge(vm.stage !== undefined ? undefined : vm.inForce),
        badge(vm.phase === undefined ? undefined : `phase: ${vm.phase}`),
        ...conditions.map(({ kind, evidence }) => badge(`${kind}: ${evidence}`, 'bad')),
        ...vm.techniques
          .filter(({ contradictsPhase }) => contradictsPhase)
          .map(({ technique, state }) =>
            badge(`phase contradicted: ${words(technique)} ${words(state)}`, 'warn'),
          ),
        badge(vm.state === undefined || vm.state === 'running' ? undefined : vm.state, 'warn'),
        ...vm.silent.map((source) => badge(`${source} does not respond`, 'bad')),
        el('span', { class: 'muted' }, `${plural(vm.vcpus, 'vCPU')}, ${vm.vmm}, pid ${vm.pid}`),
        grafana === undefined
          ? undefined
          : el(
              'a',
              { href: `${grafana}/d/kvm-vm?var-vm=${encodeURIComponent(vm.vm)}`, rel: 'noreferrer' },
              'Open in Grafana',
            ),
      ],
    );
  }

  #makeTiles(): HTMLElement {
    const list = el('dl', { class: 'tiles' });
    for (const { key, label, unit, help } of COLUMNS) {
      if (['vm', 'condition', 'stage', 'hour', 'verdict'].includes(key)) continue;
      const value = el('dd', { class: 'value', 'data-column': key });
      this.#tiles.set(key, value);
      list.append(el('div', { title: help }, el('dt', {}, label, el('small', {}, unit)), value));
    }
    return list;
  }

  #latency(): void {
    const { host } = this.store;
    const rows = this.store.latencies(this.vm);
    const sampled =
      host?.timedRatio === undefined
        ? 'Exits are not timed. Add exit_duration to --trace.sets; it requires BPF or hist triggers.'
        : `Exits are timed ${Math.round(host.timedRatio * 100)}% of the time. None in the last 30 s.`;
    setText(this.#noLatencies, sampled);
    this.#noLatencies.hidden = rows.length > 0;
    this.#latencies.element.hidden = rows.length === 0;
    this.#latencies.update(
      [
        { label: 'reason' },
        { label: 'timed', isNumber: true, help: 'Exits timed in the last 30 s' },
        ...['mean', 'median', '99%'].map((label) => ({ label, isNumber: true })),
      ],
      rows.map(({ reason, count: timed, mean, p50, p99 }) => ({
        key: reason,
        cells: [reason, count(timed), duration(mean), duration(p50), duration(p99)],
      })),
    );
  }
}

function section(title: string, ...children: readonly Node[]): HTMLElement {
  return el('section', { 'aria-label': title }, el('h2', {}, title), ...children);
}

function badge(text: string | undefined, kind = ''): HTMLElement | undefined {
  return text === undefined ? undefined : el('span', { class: `badge ${kind}` }, text);
}
