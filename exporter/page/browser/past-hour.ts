import type { LiveCauses, LiveHistory, LiveOverview } from '../live.ts';

/** The daemon adds a point to the overview each minute. */
const EVERY_MS = 60_000;
/** A round of the daemon. */
const CAUSES_MS = 10_000;

export interface HourListeners {
  overview(overview: LiveOverview): void;
  history(history: LiveHistory): void;
  causes(causes: LiveCauses): void;
}

/** Fetches the last hour that the daemon has recorded, and the causes for the VM whose page is open. */
export class PastHour {
  #vm: string | undefined;
  #timers: readonly number[] = [];

  constructor(private readonly listeners: HourListeners) {}

  /** @param vm whose page is open; undefined for the table */
  open(vm: string | undefined): void {
    this.#vm = vm;
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [
      setInterval(() => void this.#fetch(), EVERY_MS),
      setInterval(() => void this.#fetchCauses(), CAUSES_MS),
    ];
    void this.#fetch();
    void this.#fetchCauses();
  }

  async #fetchCauses(): Promise<void> {
    const vm = this.#vm;
    if (document.hidden || vm === undefined) return;
    await get<LiveCauses>(`/api/v1/causes?vm=${encodeURIComponent(vm)}`, this.listeners.causes);
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
    // The next fetch comes soon.
  }
}
