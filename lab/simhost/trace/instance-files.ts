import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { Tree } from '../files/tree.ts';
import { type EventFields, TraceEngine } from './engine.ts';
import type { TracefsFaults } from './faults.ts';
import type { HistMap } from './hist-map.ts';
import { CommandFile } from './lines.ts';
import { logEntry, Refusal } from './refusal.ts';
import type { Fields, TraceSink } from './sink.ts';

/** An instance that had triggers and has had none for this many steps: its owner tried to remove it. */
const IDLE_STEPS = 3;

/** The kernel that an instance belongs to. */
export interface TracingKernel extends EventFields {
  /** Format files by `system/event`, without synthetic events. */
  readonly formats: ReadonlyMap<string, string>;
  /** False without CONFIG_HIST_TRIGGERS. */
  readonly hist: boolean;
  readonly faults: TracefsFaults;
}

/** What `trigger` shows if an event has no trigger: kernel/trace/trace_events_trigger.c. */
const NO_TRIGGERS =
  '# Available triggers:\n# traceon traceoff snapshot stacktrace enable_event disable_event enable_hist disable_hist hist\n';

/** The folder of one trace instance. */
export class InstanceFiles implements TraceSink {
  readonly #engine: TraceEngine;
  readonly #triggers = new Map<string, CommandFile>();
  #errors = '';
  #wasUsed = false;
  #idleSteps = 0;

  /** @param folder in the tree: `sys/kernel/tracing/instances/<name>` */
  constructor(
    private readonly tree: Tree,
    readonly folder: string,
    private readonly kernel: TracingKernel,
  ) {
    this.#engine = new TraceEngine(kernel);
    // Built elsewhere and renamed, so that a reader never sees an incomplete instance.
    const scratch = `.simhost/${folder.replaceAll('/', '-')}`;
    for (const [event, format] of kernel.formats) this.#writeEvent(`${scratch}/${event}`, format);
    mkdirSync(tree.path(`${scratch}/synthetic`), { recursive: true });
    tree.put(`${folder}/error_log`, '');
    renameSync(tree.path(scratch), tree.path(`${folder}/events`));
    tree.forget(scratch);
    for (const event of kernel.formats.keys()) this.#open(event);
  }

  /** Adds an event that the kernel now has. */
  define(event: string, format: string): void {
    if (this.#triggers.has(event)) return;
    this.#writeEvent(`${this.folder}/events/${event}`, format);
    this.#open(event);
  }

  undefine(event: string): void {
    this.#triggers.get(event)?.close();
    this.#triggers.delete(event);
    this.#engine.forget(event);
    this.tree.remove(`${this.folder}/events/${event}`);
  }

  /** Folders to watch. */
  get eventFolders(): string[] {
    return [...this.#triggers.keys()].map((event) => `${this.folder}/events/${event}`);
  }

  #open(event: string): void {
    const name = `${this.folder}/events/${event}/trigger`;
    this.#triggers.set(
      event,
      new CommandFile(this.tree.path(name), NO_TRIGGERS, (text) => this.tree.replace(name, text)),
    );
  }

  /** Executes the lines written into trigger files. @returns false if the instance no longer exists */
  poll(): boolean {
    if (!existsSync(this.tree.path(`${this.folder}/events`))) return false;
    for (const [event, file] of this.#triggers) {
      const lines = file.take();
      if (lines.length === 0) continue;
      for (const line of lines) {
        try {
          this.#write(event, line);
        } catch {
          // error_log has the reason.
        }
      }
      this.#show(event);
    }
    return true;
  }

  /** Executes a line for a trigger file at once. @throws Refusal */
  execute(event: string, line: string): void {
    if (!this.#triggers.has(event)) throw new Refusal('ENOENT');
    this.#write(event, line);
    this.#show(event);
  }

  #write(event: string, line: string): void {
    try {
      this.kernel.faults.check(`${event} ${line}`);
      this.#engine.write(event, line);
      this.#wasUsed ||= !this.#engine.isIdle;
    } catch (error) {
      if (error instanceof Refusal && error.reason !== undefined) {
        this.#errors += logEntry(`hist:${event.replace('/', ':')}`, error.reason, line.replace(/^!/, ''));
        this.tree.put(`${this.folder}/error_log`, this.#errors);
      }
      throw error;
    }
  }

  /** Writes the map first: a reader that sees the trigger expects its map. */
  #show(event: string): void {
    this.#showHist(event);
    this.#triggers.get(event)?.show(this.#engine.triggers(event) || NO_TRIGGERS);
  }

  /** Whether the kernel keeps the instance although its folder is removed. */
  get isBusy(): boolean {
    return this.#engine.isBusy;
  }

  uses(synthetic: string): boolean {
    return this.#engine.uses(synthetic);
  }

  /** Events and the text of their triggers, oldest first. */
  get triggers(): readonly (readonly [event: string, text: string])[] {
    return this.#engine.all;
  }

  /** Changes the content of a map. @param keys as in the trigger: `common_pid,gpa.hex` */
  change(event: string, keys: string, work: (map: HistMap) => void): void {
    this.#engine.change(event, keys, work);
    this.update();
  }

  /** Removes a trigger, as another program does. */
  lose(event: string, keys: string): void {
    this.#engine.change(event, keys, (map) => this.#engine.lose(event, map));
    this.#show(event);
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
    if (this.kernel.hist && this.#triggers.has(event))
      this.tree.put(`${this.folder}/events/${event}/hist`, this.#engine.hist(event));
  }

  /** Closes files. The folder stays. */
  close(): void {
    for (const file of this.#triggers.values()) file.close();
  }

  remove(): void {
    this.close();
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

  #writeEvent(folder: string, format: string): void {
    const files = {
      format,
      id: `${/^ID: (\d+)$/m.exec(format)?.[1] ?? 0}\n`,
      enable: '0\n',
      filter: 'none\n',
      trigger: NO_TRIGGERS,
    };
    for (const [name, text] of Object.entries(files)) this.tree.put(`${folder}/${name}`, text);
    if (this.kernel.hist) this.tree.put(`${folder}/hist`, '');
  }
}
