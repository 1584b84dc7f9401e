import type { LiveDetail, LiveHost, LiveVms } from '../live.ts';

/** `live`, or why not. */
export type State = 'connecting' | 'live' | 'late' | 'lost' | 'refused' | 'paused';

export interface Listeners {
  host(host: LiveHost): void;
  vms(vms: LiveVms): void;
  detail(detail: LiveDetail): void;
  state(state: State): void;
}

/** The daemon does not take us now: asked again after so long. */
const REFUSED_MS = 5000;
/** Nothing for so many intervals is late. */
const LATE = 3;
/** A page that nobody looks at costs the host nothing after so long. */
const HIDDEN_MS = 600_000;

/** Listens to the daemon, and says how that goes. */
export class Connection {
  #source: EventSource | undefined;
  #vm: string | undefined;
  #everyMs = 5000;
  #heard = 0;
  #state: State = 'connecting';
  #retry: number | undefined;
  #hide: number | undefined;

  constructor(private readonly listeners: Listeners) {
    setInterval(() => this.#look(), 1000);
    document.addEventListener('visibilitychange', () => this.#seen(!document.hidden));
  }

  /** Listens, in detail to one VM where its page is open. */
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
    on<LiveVms>('vms', (vms) => {
      this.#everyMs = vms.everyMs;
      this.#heard = performance.now();
      this.#say('live');
      this.listeners.vms(vms);
    });
    source.addEventListener('error', () => {
      if (source !== this.#source) return;
      this.#say(source.readyState === EventSource.CLOSED ? 'refused' : 'lost');
      if (source.readyState === EventSource.CLOSED) this.#again(REFUSED_MS);
    });
  }

  #again(afterMs: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#source?.close();
      this.#source = undefined;
      this.open(this.#vm);
    }, afterMs);
  }

  #look(): void {
    if (this.#state === 'live' && performance.now() - this.#heard > LATE * this.#everyMs + 1000)
      this.#say('late');
  }

  #seen(isVisible: boolean): void {
    clearTimeout(this.#hide);
    if (isVisible) {
      if (this.#state === 'paused') this.#again(0);
      return;
    }
    this.#hide = setTimeout(() => {
      this.#source?.close();
      clearTimeout(this.#retry);
      this.#say('paused');
    }, HIDDEN_MS);
  }

  #say(state: State): void {
    if (state === this.#state) return;
    this.#state = state;
    this.listeners.state(state);
  }
}
