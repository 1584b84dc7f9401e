import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { Tree } from '../files/tree.ts';
import type { SyntheticEvents } from './engine.ts';
import { TraceEngine } from './engine.ts';
import { formatOf, TRACEPOINTS } from './formats.ts';
import { CommandFile } from './lines.ts';
import type { Fields, TraceSink } from './sink.ts';

/** An instance that had triggers and has had none for this many steps: its owner tried to remove it. */
const IDLE_STEPS = 3;

/** The folder of one trace instance. */
export class InstanceFiles implements TraceSink {
  readonly #engine: TraceEngine;
  readonly #triggers = new Map<string, CommandFile>();
  #wasUsed = false;
  #idleSteps = 0;

  /** @param folder in the tree: `sys/kernel/tracing/instances/<name>` */
  constructor(
    private readonly tree: Tree,
    readonly folder: string,
    synthetic: SyntheticEvents,
  ) {
    this.#engine = new TraceEngine(synthetic);
    // Built elsewhere and renamed, so that a reader never sees an incomplete instance.
    const scratch = `.simhost/${folder.replaceAll('/', '-')}`;
    for (const event of TRACEPOINTS) writeEvent(tree, `${scratch}/${event}`, formatOf(event));
    mkdirSync(tree.path(`${scratch}/synthetic`), { recursive: true });
    tree.put(`${folder}/error_log`, '');
    renameSync(tree.path(scratch), tree.path(`${folder}/events`));
    tree.forget(scratch);
    for (const event of TRACEPOINTS) this.#open(event);
  }

  /** Adds a synthetic event that the kernel now knows. */
  define(name: string, format: string): void {
    const event = `synthetic/${name}`;
    if (this.#triggers.has(event)) return;
    writeEvent(this.tree, `${this.folder}/events/${event}`, format);
    this.#open(event);
  }

  undefine(name: string): void {
    this.#triggers.get(`synthetic/${name}`)?.close();
    this.#triggers.delete(`synthetic/${name}`);
    this.tree.remove(`${this.folder}/events/synthetic/${name}`);
  }

  /** Folders to watch. */
  get eventFolders(): string[] {
    return [...this.#triggers.keys()].map((event) => `${this.folder}/events/${event}`);
  }

  #open(event: string): void {
    const name = `${this.folder}/events/${event}/trigger`;
    this.#triggers.set(
      event,
      new CommandFile(this.tree.path(name), '', (text) => this.tree.replace(name, text)),
    );
  }

  /** Executes the lines written into trigger files. @returns false if the instance no longer exists */
  poll(): boolean {
    if (!existsSync(this.tree.path(`${this.folder}/events`))) return false;
    for (const [event, file] of this.#triggers) {
      const lines = file.take();
      if (lines.length === 0) continue;
      for (const line of lines) this.#engine.write(event, line);
      // Write the map first: a reader that sees the trigger expects its map.
      this.#showHist(event);
      file.show(this.#engine.triggers(event));
    }
    if (!this.#engine.isIdle) this.#wasUsed = true;
    return true;
  }

  /** Call it once per step. */
  age(): void {
    for (const file of this.#triggers.values()) file.age();
    this.#idleSteps = this.#wasUsed && this.#engine.isIdle ? this.#idleSteps + 1 : 0;
  }

  /**
   * Whether the owner has removed all triggers. rmdir(2) works on tracefs folders, but fails here because the
   * folder has files.
   */
  get isAbandoned(): boolean {
    return this.#idleSteps >= IDLE_STEPS;
  }

  /** Updates the files of the events that were counted. */
  update(): void {
    for (const event of this.#engine.takeTouched()) this.#showHist(event);
  }

  #showHist(event: string): void {
    if (this.#triggers.has(event))
      this.tree.put(`${this.folder}/events/${event}/hist`, this.#engine.hist(event));
  }

  remove(): void {
    for (const file of this.#triggers.values()) file.close();
    this.#triggers.clear();
    rmSync(this.tree.path(this.folder), { recursive: true, force: true });
    this.tree.remove(this.folder);
  }

  wants(event: string): boolean {
    return this.#engine.wants(event);
  }

  count(event: string, fields: Fields, times: number): void {
    this.#engine.count(event, fields, times);
  }

  interval(from: string, to: string, fields: Fields, ns: number, times: number): void {
    this.#engine.interval(from, to, fields, ns, times);
  }
}

function writeEvent(tree: Tree, folder: string, format: string): void {
  const files = {
    format,
    id: `${/^ID: (\d+)$/m.exec(format)?.[1] ?? 0}\n`,
    enable: '0\n',
    filter: 'none\n',
    hist: '',
    trigger: '',
  };
  for (const [name, text] of Object.entries(files)) tree.put(`${folder}/${name}`, text);
}
