import type { LiveAlerts, LiveDetail, LiveEvents, LiveHost, LiveVms } from '../live.ts';

/** `live`, or the reason why not. */
export type State = 'connecting' | 'live' | 'late' | 'lost' | 'refused' | 'paused';

export interface Listeners {
  host(host: LiveHost): void;
  vms(vms: LiveVms): void;
  detail(detail: LiveDetail): void;
  events(events: LiveEvents): void;
  alerts(alerts: LiveAlerts): void;
  state(state: State): void;
}

/** Time before a retry after the daemon refused the connection. */
const REFUSED_MS = 5000;
/** Number of intervals without data after which the state is `late`. */
const LATE = 3;
/** Time after which a hidden page disconnects, so that it costs the host nothing. */
const HIDDEN_MS = 600_000;

/** Receives events from the daemon and reports the state of the connection. */
export class Connection {
  #source: EventSource | undefined;
  #vm: string | undefined;
  #everyMs = 5000;
  #lastEventAt = 0;
  #state: State = 'connecting';
  #retry: number | undefined;
  #hide: number | undefined;

  constructor(private readonly listeners: Listeners) {
    setInterval(() => this.#checkState(), 1000);
    document.addEventListener('visibilitychange', () => this.#visibilityChanged(!document.hidden));
  }

  /** Connects. Subscribes to the details of one VM if its page is open. */
  open(vm: string | undefined): void {
    if (this.#source !== undefined && vm === this.#vm) return;
    this.#vm = vm;
    clearTimeout(this.#retry);
    this.#source?.close();
    const source = new EventSource(`/api/v1/live${vm === undefined ? '' : `?vm=${encodeURIComponent(vm)}`}`);
    this.#source = source;
    const on = <T>(name: string, take: (data: T) => void): void =>
      source.addEventListener(name, (event) => take(JSON.parse((event as MessageEvent<string>).data) as T));
    on<LiveHost>('host', (host) => this.listeners.host(host));
    on<LiveDetail>('detail', (detail) => this.listeners.detail(detail));
    on<LiveAlerts>('alerts', (alerts) => this.listeners.alerts(alerts));
    on<LiveEvents>('events', (events) => this.listeners.events(events));
    on<LiveVms>('vms', (vms) => {
      this.#everyMs = vms.everyMs;
      this.#lastEventAt = performance.now();
      this.#setState('live');
      this.listeners.vms(vms);
    });
    source.addEventListener('error', () => {
      if (source !== this.#source) return;
      this.#setState(source.readyState === EventSource.CLOSED ? 'refused' : 'lost');
      if (source.readyState === EventSource.CLOSED) this.#reconnect(REFUSED_MS);
    });
  }

  #reconnect(afterMs: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#source?.close();
      this.#source = undefined;
      this.open(this.#vm);
    }, afterMs);
  }

  #checkState(): void {
    if (this.#state === 'live' && performance.now() - this.#lastEventAt > LATE * this.#everyMs + 1000)
      this.#setState('late');
  }

  #visibilityChanged(isVisible: boolean): void {
    clearTimeout(this.#hide);
    if (isVisible) {
      if (this.#state === 'paused') this.#reconnect(0);
      return;
    }
    this.#hide = setTimeout(() => {
      this.#source?.close();
      clearTimeout(this.#retry);
      this.#setState('paused');
    }, HIDDEN_MS);
  }

  #setState(state: State): void {
    if (state === this.#state) return;
    this.#state = state;
    this.listeners.state(state);
  }
}
