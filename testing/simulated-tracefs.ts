import type { TestContext } from 'node:test';
import type { TracefsWriter } from '../exporter/trace/writer.ts';
import { writerFor } from '../lab/history/writer.ts';
import { Tree } from '../lab/simhost/files/tree.ts';
import type { HistMap } from '../lab/simhost/trace/hist-map.ts';
import type { InstanceFiles } from '../lab/simhost/trace/instance-files.ts';
import { Tracefs } from '../lab/simhost/trace/tracefs.ts';
import type { Host } from '../probes/host.ts';
import { type HostTree, hostTree } from './host-tree.ts';
import { formatsOf } from './tracepoint-formats.ts';

/** Keys, then values: `[252, 120, 7]`. */
export type Row = readonly number[];

export interface SimulatedTracefsOptions {
  /** The kernel whose captured format files are used. */
  readonly formats?: '6.1' | '6.18';
  /** Format files that replace the captured ones; undefined for an event that this kernel lacks. */
  readonly events?: Readonly<Record<string, string | undefined>>;
  /** False for a kernel without CONFIG_HIST_TRIGGERS. */
  readonly hist?: boolean;
}

/** The simulated host's tracefs, and access to the exporter's own instance in it. */
export interface SimulatedTracefs {
  readonly tree: HostTree;
  readonly host: Host;
  readonly writer: TracefsWriter;
  /** Every successful write: `kvm/kvm_exit hist:keys=...`, `synthetic_events !x`, `mkdir x`, `rmdir x`. */
  readonly written: string[];
  /** Makes matching writes fail, in the form of `written`. @returns a function that ends this */
  refuse(pattern: RegExp, code: string, reason?: string): () => void;
  instances(): string[];
  /** Triggers of an event, in the kernel's format. `synthetic/@x` is the exporter's own event x. */
  triggers(event: string, instance?: string): string[];
  /** Triggers of all events: `kvm/kvm_exit hist:keys=...`. */
  allTriggers(instance?: string): string[];
  synthetic(): string[];
  /** Counts events. @param keys of the trigger: `common_pid,gpa.hex` */
  hit(event: string, keys: string, key: Row, count?: number, sum?: number): void;
  /** Sets the content of a map, whatever its size. */
  show(event: string, keys: string, rows: readonly Row[], more?: { dropped?: number }): void;
  /** Clears a map, as another program does. */
  clear(event: string, keys: string): void;
  /** Removes a trigger, as another program does. */
  removeTrigger(event: string, keys: string): void;
  /** Removes an instance, as another program does. */
  deleteInstance(name: string): void;
  /** Loads a module, or unloads it: undefined. */
  setEvent(event: string, format: string | undefined): void;
}

/** The lab tests check that the kernel behaves like this simulation. */
export function simulatedTracefs(
  context: Pick<TestContext, 'after'>,
  { formats = '6.1', events = {}, hist = true }: SimulatedTracefsOptions = {},
): SimulatedTracefs {
  const tree = hostTree(context);
  const { host } = tree;
  const tracefs = new Tracefs(new Tree(tree.folder), { formats: formatsOf(formats), hist });
  for (const [event, format] of Object.entries(events)) tracefs.setEvent(event, format);
  context.after(() => tracefs.close());
  const written: string[] = [];

  function own(): InstanceFiles {
    const [name, ...others] = tracefs.instances.filter((each) => each.startsWith('kvm-telemetry-'));
    if (name === undefined || others.length > 0) throw new Error(`instances: ${tracefs.instances.join()}`);
    return tracefs.instance(name);
  }

  function instanceOf(name: string | undefined): InstanceFiles {
    return name === undefined ? own() : tracefs.instance(name);
  }

  /** `synthetic/@x`: the exporter's own x. */
  function resolved(event: string): string {
    if (!event.includes('@')) return event;
    const suffix = event.replace('synthetic/@', '_');
    const isOwn = (name: string): boolean => name.startsWith('kvm_telemetry_') && name.endsWith(suffix);
    return `synthetic/${tracefs.synthetic.find(isOwn) ?? ''}`;
  }

  function change(event: string, keys: string, work: (map: HistMap) => void): void {
    own().change(resolved(event), keys, work);
  }

  return {
    tree,
    host,
    writer: recorded(
      writerFor(() => tracefs, host.roots.tracefs),
      host.roots.tracefs,
      (entry) => {
        written.push(entry);
        // Closes the files that the last commands replaced.
        tracefs.update();
      },
    ),
    written,
    refuse: (pattern, code, reason) => tracefs.faults.refuse(pattern, code, reason),
    instances: () => tracefs.instances,
    triggers: (event, instance) =>
      instanceOf(instance)
        .triggers.filter(([of]) => of === resolved(event))
        .map(([, text]) => text),
    allTriggers: (instance) => instanceOf(instance).triggers.map((each) => each.join(' ')),
    synthetic: () => tracefs.synthetic,
    hit: (event, keys, key, count = 1, sum = 0) =>
      change(event, keys, (map) => map.addRow([...key, count, sum])),
    show: (event, keys, rows, { dropped = 0 } = {}) => change(event, keys, (map) => map.load(rows, dropped)),
    clear: (event, keys) => change(event, keys, (map) => map.clear()),
    removeTrigger: (event, keys) => own().lose(resolved(event), keys),
    deleteInstance: (name) => tracefs.loseInstance(name),
    setEvent: (event, format) => tracefs.setEvent(event, format),
  };
}

/** Calls `wrote` after each successful write. */
function recorded(writer: TracefsWriter, root: string, wrote: (entry: string) => void): TracefsWriter {
  const short = (path: string): string =>
    path.slice(root.length + 1).replace(/^instances\/[^/]+\/events\/(.+)\/trigger$/, '$1');
  const instance = (path: string): string => short(path).replace('instances/', '');
  return {
    async makeDirectory(path) {
      await writer.makeDirectory(path);
      wrote(`mkdir ${instance(path)}`);
    },
    async removeDirectory(path) {
      await writer.removeDirectory(path);
      wrote(`rmdir ${instance(path)}`);
    },
    async append(path, line) {
      await writer.append(path, line);
      wrote(`${short(path)} ${line}`);
    },
  };
}
