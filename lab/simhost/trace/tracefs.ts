import { readdirSync } from 'node:fs';
import type { Tree } from '../files/tree.ts';
import { TracefsFaults } from './faults.ts';
import { FORMATS, fieldNames } from './formats.ts';
import { InstanceFiles } from './instance-files.ts';
import { CommandFile } from './lines.ts';
import { logEntry, Refusal } from './refusal.ts';
import type { Fields, TraceSink } from './sink.ts';
import { parseSynthetic, type SyntheticEvent } from './synthetic.ts';
import { FolderWatcher } from './watcher.ts';

const ROOT = 'sys/kernel/tracing';

export interface TracefsOptions {
  /** Format files by `system/event`; by default those of the simulated kernel. */
  readonly formats?: ReadonlyMap<string, string>;
  /** False for a kernel without CONFIG_HIST_TRIGGERS. */
  readonly hist?: boolean;
}

/**
 * The part of tracefs that hist triggers need. A client in the same process calls `makeInstance`,
 * `removeInstance` and `append`, which fail as the kernel's system calls do. Other clients use the files: a
 * new folder in `instances` becomes an instance, and lines appended to `trigger` and `synthetic_events` are
 * executed. Plain files have two limits: a write never fails (error_log has the reason), and rmdir fails for
 * a folder with files (an instance whose triggers were all removed is deleted soon after).
 */
export class Tracefs implements TraceSink {
  readonly faults = new TracefsFaults();
  readonly #hist: boolean;
  readonly #formats = new Map<string, string>();
  readonly #fields = new Map<string, readonly string[]>();
  readonly #synthetic = new Map<string, SyntheticEvent>();
  readonly #instances = new Map<string, InstanceFiles>();
  readonly #commands: CommandFile;
  readonly #watcher = new FolderWatcher(() => this.poll());
  #errors = '';
  #isServing = false;

  constructor(
    private readonly tree: Tree,
    { formats = FORMATS, hist = true }: TracefsOptions = {},
  ) {
    this.#hist = hist;
    for (const [event, format] of formats) this.setEvent(event, format);
    tree.directory(`${ROOT}/instances`);
    tree.directory(`${ROOT}/events/synthetic`);
    tree.put(`${ROOT}/error_log`, '');
    tree.put(`${ROOT}/trace_clock`, '[local] global counter uptime perf mono mono_raw boot\n');
    const path = `${ROOT}/synthetic_events`;
    tree.put(path, '');
    this.#commands = new CommandFile(tree.path(path), '', (text) => tree.replace(path, text));
  }

  /** Names of the instances. */
  get instances(): string[] {
    return [...this.#instances.keys()];
  }

  /** Names of the synthetic events. */
  get synthetic(): string[] {
    return [...this.#synthetic.keys()];
  }

  /** @throws Error if there is no such instance */
  instance(name: string): InstanceFiles {
    const instance = this.#instances.get(name);
    if (instance === undefined) throw new Error(`no instance ${name} among ${this.instances.join()}`);
    return instance;
  }

  /** A module is loaded, or unloaded: undefined. */
  setEvent(event: string, format: string | undefined): void {
    if (format === undefined) {
      this.#formats.delete(event);
      this.#undefine(event);
    } else {
      this.#formats.set(event, format);
      this.#define(event, format);
    }
  }

  /** mkdir(2) @throws Refusal */
  makeInstance(name: string): void {
    this.faults.check(`mkdir ${name}`);
    if (this.#instances.has(name)) throw new Refusal('EEXIST');
    this.#add(name);
  }

  /** rmdir(2) @throws Refusal */
  removeInstance(name: string): void {
    this.faults.check(`rmdir ${name}`);
    const instance = this.#instances.get(name);
    if (instance === undefined) throw new Refusal('ENOENT');
    if (instance.isBusy) throw new Refusal('EBUSY');
    this.loseInstance(name);
  }

  /** Removes an instance without any check, as its owner could. */
  loseInstance(name: string): void {
    this.#instances.get(name)?.remove();
    this.#instances.delete(name);
  }

  /** write(2) of a line. @param name below tracefs: `instances/x/events/kvm/kvm_exit/trigger` @throws Refusal */
  append(name: string, line: string): void {
    const [, instance, event] = /^instances\/([^/]+)\/events\/(\w+\/\w+)\/trigger$/.exec(name) ?? [];
    if (name === 'synthetic_events') {
      this.#command(line);
      this.#showSynthetic();
    } else {
      const found = this.#instances.get(instance ?? '');
      if (found === undefined || event === undefined) throw new Refusal('ENOENT');
      found.execute(event, line);
    }
  }

  /** Executes commands at once instead of at the next step. */
  serve(): void {
    this.#isServing = true;
    this.poll();
  }

  close(): void {
    this.#watcher.close();
    this.#commands.close();
    for (const instance of this.#instances.values()) instance.close();
  }

  /** Executes the commands written into files since the last call. */
  poll(): void {
    const lines = this.#commands.take();
    for (const line of lines) {
      try {
        this.#command(line);
      } catch {
        // error_log has the reason.
      }
    }
    if (lines.length > 0) this.#showSynthetic();
    for (const name of readdirSync(this.tree.path(`${ROOT}/instances`)))
      if (!this.#instances.has(name)) this.#add(name);
    for (const [name, instance] of this.#instances)
      if (!instance.poll() || instance.isAbandoned) this.loseInstance(name);
    if (this.#isServing) this.#watch();
  }

  /** Writes the counts of a step. */
  update(): void {
    this.#commands.age();
    for (const instance of this.#instances.values()) {
      instance.age();
      instance.update();
    }
  }

  #add(name: string): void {
    const instance = new InstanceFiles(this.tree, `${ROOT}/instances/${name}`, {
      formats: this.#formats,
      hist: this.#hist,
      faults: this.faults,
      fieldsOf: (event) => this.#fields.get(event),
      syntheticFields: (each) => this.#synthetic.get(each)?.fields,
    });
    for (const each of this.#synthetic.values()) instance.define(`synthetic/${each.name}`, each.format);
    this.#instances.set(name, instance);
  }

  /** `name type field; ...` defines a synthetic event, `!name` removes it. */
  #command(line: string): void {
    try {
      this.faults.check(`synthetic_events ${line}`);
      if (line.startsWith('!')) this.#removeSynthetic(line.slice(1).split(/\s/)[0] ?? '');
      else this.#addSynthetic(line);
    } catch (error) {
      if (error instanceof Refusal && error.reason !== undefined) {
        this.#errors += logEntry('synthetic_events', error.reason, line);
        this.tree.put(`${ROOT}/error_log`, this.#errors);
      }
      throw error;
    }
  }

  #addSynthetic(line: string): void {
    const event = parseSynthetic(line, this.#synthetic.size);
    if (this.#synthetic.has(event.name)) throw new Refusal('EEXIST');
    this.#synthetic.set(event.name, event);
    // Write the format first: the client that defined the event reads it at once.
    this.#define(`synthetic/${event.name}`, event.format);
  }

  #removeSynthetic(name: string): void {
    if (!this.#synthetic.has(name)) throw new Refusal('ENOENT');
    if ([...this.#instances.values()].some((instance) => instance.uses(name))) throw new Refusal('EBUSY');
    this.#synthetic.delete(name);
    this.#undefine(`synthetic/${name}`);
  }

  #define(event: string, format: string): void {
    this.#fields.set(event, fieldNames(format));
    this.tree.put(`${ROOT}/events/${event}/format`, format);
    for (const instance of this.#instances.values()) instance.define(event, format);
  }

  #undefine(event: string): void {
    this.#fields.delete(event);
    this.tree.remove(`${ROOT}/events/${event}`);
    for (const instance of this.#instances.values()) instance.undefine(event);
  }

  #showSynthetic(): void {
    const lines = [...this.#synthetic.values()].map(({ name, declared }) => `${name}\t${declared}\n`);
    this.#commands.show(lines.join(''));
  }

  #watch(): void {
    const folders = [...this.#instances.values()].flatMap(({ eventFolders }) => eventFolders);
    this.#watcher.watch(
      new Set([ROOT, `${ROOT}/instances`, ...folders].map((folder) => this.tree.path(folder))),
    );
  }

  wants(event: string): boolean {
    for (const instance of this.#instances.values()) if (instance.wants(event)) return true;
    return false;
  }

  count(event: string, fields: Fields, times: number): void {
    for (const instance of this.#instances.values()) instance.count(event, fields, times);
  }

  interval(from: string, to: string, fields: Fields, ns: number, times: number): void {
    for (const instance of this.#instances.values()) instance.interval(from, to, fields, ns, times);
  }
}
