import type { LiveHistory, LiveOverview } from '../live.ts';

/** The daemon adds a point to the overview each minute. */
const EVERY_MS = 60_000;

export interface HourListeners {
  overview(overview: LiveOverview): void;
  history(history: LiveHistory): void;
}

/** Fetches the last hour that the daemon has recorded, when a page opens and each minute. */
export class PastHour {
  #vm: string | undefined;
  #timer: number | undefined;

  constructor(private readonly listeners: HourListeners) {}

  /** @param vm whose page is open; undefined for the table */
  open(vm: string | undefined): void {
    this.#vm = vm;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#fetch(), EVERY_MS);
    void this.#fetch();
  }

  async #fetch(): Promise<void> {
    if (document.hidden) return;
    const vm = this.#vm;
    const { overview, history } = this.listeners;
    if (vm === undefined) await get<LiveOverview>('/api/v1/history', overview);
    else await get<LiveHistory>(`/api/v1/history?vm=${encodeURIComponent(vm)}`, history);
  }
}

/** The connection reports a daemon that does not respond. */
async function get<T>(path: string, take: (data: T) => void): Promise<void> {
  try {
    const response = await fetch(path);
    if (response.ok) take((await response.json()) as T);
  } catch {
    // The next fetch comes in a minute.
  }
}
