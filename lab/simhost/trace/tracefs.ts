import { type FSWatcher, readdirSync, watch } from 'node:fs';
import type { Tree } from '../files/tree.ts';
import { formatOf, syntheticFormat, TRACEPOINTS } from './formats.ts';
import { InstanceFiles } from './instance-files.ts';
import { CommandFile } from './lines.ts';
import type { Fields, TraceSink } from './sink.ts';

const ROOT = 'sys/kernel/tracing';
const FIRST_SYNTHETIC_ID = 3000;
/** Delays after which a replaced file is read again. */
const AFTERTHOUGHTS_MS = [5, 40];

/**
 * The part of tracefs that hist triggers need. It creates an instance for each new folder in `instances`,
 * executes lines appended to `trigger` and `synthetic_events`, and writes `hist`. A plain folder has two
 * limits: it cannot refuse a write (an invalid trigger is silently dropped), and a folder with files cannot
 * be removed by rmdir (an instance whose triggers were all removed is deleted soon after).
 */
export class Tracefs implements TraceSink {
  readonly #instances = new Map<string, InstanceFiles>();
  readonly #synthetic = new Map<string, { fields: string; format: string }>();
  readonly #names = new Map<string, readonly string[]>();
  readonly #events: CommandFile;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isServing = false;

  constructor(private readonly tree: Tree) {
    for (const event of TRACEPOINTS) tree.put(`${ROOT}/events/${event}/format`, formatOf(event));
    tree.directory(`${ROOT}/instances`);
    tree.directory(`${ROOT}/events/synthetic`);
    tree.put(`${ROOT}/synthetic_events`, '');
    tree.put(`${ROOT}/trace_clock`, '[local] global counter uptime perf mono mono_raw boot\n');
    const path = `${ROOT}/synthetic_events`;
    this.#events = new CommandFile(tree.path(path), '', (text) => tree.replace(path, text));
  }

  /** Executes commands at once instead of at the next step. */
  serve(): void {
    this.#isServing = true;
    this.poll();
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#watchers.clear();
    this.#events.close();
  }

  /** Executes the commands written since the last call. */
  poll(): void {
    this.#pollSynthetic();
    this.#pollInstances();
    for (const [name, instance] of this.#instances) {
      if (instance.poll() && !instance.isAbandoned) continue;
      instance.remove();
      this.#instances.delete(name);
    }
    if (this.#isServing) this.#watchAll();
  }

  /** Writes the counts of a step. */
  update(): void {
    this.#events.age();
    for (const instance of this.#instances.values()) {
      instance.age();
      instance.update();
    }
  }

  #pollInstances(): void {
    for (const name of readdirSync(this.tree.path(`${ROOT}/instances`))) {
      if (this.#instances.has(name)) continue;
      const instance = new InstanceFiles(this.tree, `${ROOT}/instances/${name}`, this.#names);
      for (const [event, { format }] of this.#synthetic) instance.define(event, format);
      this.#instances.set(name, instance);
    }
  }

  /** `name type field; ...` defines, `!name` removes: kernel/trace/trace_events_synth.c. */
  #pollSynthetic(): void {
    const lines = this.#events.take();
    if (lines.length === 0) return;
    for (const line of lines) {
      if (line.startsWith('!')) this.#undefine(line.slice(1).split(/\s/)[0] ?? '');
      else this.#define(line);
    }
    const text = [...this.#synthetic].map(([name, { fields }]) => `${name}\t${fields}\n`).join('');
    this.#events.show(text);
  }

  #define(line: string): void {
    const [, name = '', fields = ''] = /^(?:s:)?(\w+)\s+(.+?);?\s*$/.exec(line) ?? [];
    if (name === '' || this.#synthetic.has(name)) return;
    const format = syntheticFormat(name, fields, FIRST_SYNTHETIC_ID + this.#synthetic.size);
    // Write the format first: the client that defined the event reads it at once.
    this.tree.put(`${ROOT}/events/synthetic/${name}/format`, format);
    this.#synthetic.set(name, { fields, format });
    this.#names.set(
      name,
      fields.split(';').map((field) => /(\w+)\s*$/.exec(field)?.[1] ?? ''),
    );
    for (const instance of this.#instances.values()) instance.define(name, format);
  }

  #undefine(name: string): void {
    this.#synthetic.delete(name);
    this.#names.delete(name);
    this.tree.remove(`${ROOT}/events/synthetic/${name}`);
    for (const instance of this.#instances.values()) instance.undefine(name);
  }

  #watchAll(): void {
    const folders = [...this.#instances.values()].flatMap(({ eventFolders }) => eventFolders);
    const wanted = new Set([ROOT, `${ROOT}/instances`, ...folders]);
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#watch(folder);
  }

  #watch(folder: string): void {
    const watcher = watch(this.tree.path(folder), { persistent: false }, (_, name) => {
      if (name === 'hist' || name === 'error_log') return;
      this.poll();
      for (const ms of AFTERTHOUGHTS_MS) this.#again(ms);
    });
    watcher.on('error', () => undefined);
    this.#watchers.set(folder, watcher);
  }

  #again(ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.poll();
    }, ms);
    timer.unref();
    this.#timers.add(timer);
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
