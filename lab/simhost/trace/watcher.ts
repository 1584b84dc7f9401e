import { type FSWatcher, watch } from 'node:fs';

/** Delays after which a replaced file is read again. */
const AFTERTHOUGHTS_MS = [5, 40];

/** Calls `changed` when a client has written into one of the folders. */
export class FolderWatcher {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(private readonly changed: () => void) {}

  /** Watches exactly these folders. */
  watch(folders: ReadonlySet<string>): void {
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#add(folder);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#watchers.clear();
    this.#timers.clear();
  }

  #add(folder: string): void {
    const watcher = watch(folder, { persistent: false }, (_, name) => {
      // Only the simulation writes these.
      if (name === 'hist' || name === 'error_log') return;
      this.changed();
      for (const ms of AFTERTHOUGHTS_MS) this.#again(ms);
    });
    watcher.on('error', () => undefined);
    this.#watchers.set(folder, watcher);
  }

  #again(ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.changed();
    }, ms);
    timer.unref();
    this.#timers.add(timer);
  }
}
