import { AlertsView } from './alerts-view.ts';
import { Connection, type State } from './connection.ts';
import { linkTo, setText } from './dom.ts';
import { EventsView } from './events-view.ts';
import { HostLine } from './host-line.ts';
import { PastHour } from './past-hour.ts';
import { Hints, SourcesView } from './sources.ts';
import { Store } from './store.ts';
import { VmTable } from './table.ts';
import { stateOf } from './table-state.ts';
import { VmView } from './vm-view.ts';

const STATES: Readonly<Record<State, string>> = {
  connecting: 'connecting',
  live: 'live',
  late: 'late: the collection is slow',
  lost: 'connection lost, reconnecting. The data is from the last event',
  refused: 'refused: too many pages are open, or the login has expired. Retrying',
  paused: 'paused while the page is hidden',
};

const store = new Store();
const view = byId('view');
const table = new VmTable(
  stateOf(location.hash),
  (vm) => {
    location.hash = linkTo(vm);
  },
  (hash) => history.replaceState(null, '', hash),
);
const hostLine = new HostLine();
const sources = new SourcesView();
const hints = new Hints();
const alerts = new AlertsView();
const events = new EventsView();
let page: VmView | undefined;

const connection = new Connection({
  host(host) {
    store.host = host;
    byId('simulated').hidden = !host.simulated;
    setText(byId('version'), host.version);
    const grafana = byId('grafana');
    grafana.hidden = host.grafanaUrl === undefined;
    if (host.grafanaUrl !== undefined) grafana.setAttribute('href', host.grafanaUrl);
    sources.update(host);
  },
  detail: (detail) => store.takeDetail(detail),
  events({ events }) {
    store.events = events;
  },
  alerts(alerts) {
    store.alerts = alerts;
  },
  vms(vms) {
    store.takeVms(vms);
    draw();
  },
  state(state) {
    if (state !== 'live' && state !== 'late') store.interrupt();
    const element = byId('state');
    element.dataset['state'] = state;
    setText(element, STATES[state]);
  },
});

const pastHour = new PastHour({
  overview: (overview) => store.takeOverview(overview),
  history(found) {
    store.takeHistory(found);
    draw();
  },
  causes(found) {
    store.takeCauses(found);
    draw();
  },
});

addEventListener('hashchange', () => route(true));
addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key !== '/' || isTyping || page !== undefined || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  table.focusFilter();
});
route(false);

/** Shows the page that the URL names. */
function route(isNavigation: boolean): void {
  const vm = vmOf(location.hash);
  page?.destroy();
  page = vm === undefined ? undefined : new VmView(vm, store, table.hash);
  if (vm === undefined) table.take(stateOf(location.hash));
  document.title = vm === undefined ? 'kvm-telemetry' : `${vm} – kvm-telemetry`;
  view.replaceChildren(
    ...(page === undefined
      ? [hostLine.element, alerts.element, hints.element, table.element, events.element, sources.element]
      : [page.element]),
  );
  connection.open(vm);
  pastHour.open(vm);
  draw();
  if (!isNavigation) return;
  scrollTo(0, 0);
  view.focus({ preventScroll: true });
}

function draw(): void {
  if (page !== undefined) {
    page.update();
    return;
  }
  if (store.last === undefined) return;
  const { rows, host } = store;
  hostLine.update(host, store.cpuBusy);
  hints.update(
    host,
    rows.length > 0,
    rows.some(({ vm }) => vm.io?.from.startsWith('kvm_vm_disk') === true),
  );
  table.element.hidden = rows.length === 0;
  table.update(rows);
  alerts.update(store.alerts);
  events.update(store.events);
}

function vmOf(hash: string): string | undefined {
  const name = /^#\/vm\/(.+)$/.exec(hash)?.[1];
  if (name === undefined) return undefined;
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no #${id}`);
  return element;
}
