import { checkTrigger, usedVariables } from './check.ts';
import { HistMap } from './hist-map.ts';
import { Refusal } from './refusal.ts';
import type { Fields, TraceSink } from './sink.ts';
import { type HistTrigger, keyName, parseTrigger } from './trigger.ts';

/** Fields of the kernel's events by `system/event`, and of its synthetic events by name, in order. */
export interface EventFields {
  fieldsOf(event: string): readonly string[] | undefined;
  syntheticFields(name: string): readonly string[] | undefined;
}

/** A line for a trigger file must fit into a page. */
const PAGE_SIZE = 4096;

/** The hist triggers of one trace instance, with their maps. */
export class TraceEngine implements TraceSink {
  /** By `system/event`, in the order in which the triggers were set. */
  readonly #maps = new Map<string, HistMap[]>();
  /** Events whose maps changed since the last update of their files. */
  readonly #touched = new Set<string>();

  constructor(private readonly events: EventFields) {}

  get isIdle(): boolean {
    return this.#maps.size === 0;
  }

  /** Whether the kernel keeps the instance: a trigger with variables has a reference to it. */
  get isBusy(): boolean {
    return this.#every.some(({ trigger }) => trigger.variables.length > 0);
  }

  /** Whether a trigger counts a synthetic event, or generates it. */
  uses(synthetic: string): boolean {
    return (
      this.#maps.has(`synthetic/${synthetic}`) ||
      this.#every.some(({ trigger }) => trigger.match?.synthetic === synthetic)
    );
  }

  /**
   * Executes a line written into an event's `trigger` file: sets, clears or removes a trigger.
   *
   * @throws Refusal
   */
  write(event: string, line: string): void {
    if (line.length >= PAGE_SIZE) throw new Refusal('EINVAL');
    const removes = line.startsWith('!');
    const clears = /:clear(?= if |$)/.test(line);
    const trigger = parseTrigger(
      line
        .replace(/^!/, '')
        .replace(/ \[\w+\]$/, '')
        .replace(/:clear(?= if |$)/, ''),
    );
    if (trigger === undefined) throw new Refusal('EINVAL', 'Invalid hist trigger');
    const found = this.mapsOf(event).find((map) => map.trigger.identity === trigger.identity);
    this.#touched.add(event);
    if (removes) this.#remove(event, found);
    else if (clears) {
      if (found === undefined) throw new Refusal('ENOENT', "Can't clear (hist trigger doesn't exist)");
      found.clear();
    } else {
      if (found !== undefined) throw new Refusal('EEXIST', 'Hist trigger already exists');
      checkTrigger(event, trigger, {
        fieldsOf: (name) => new Set(this.events.fieldsOf(name)),
        syntheticFields: (name) => this.events.syntheticFields(name),
        mapsOf: (name) => this.mapsOf(name),
      });
      this.#set(event, [...this.mapsOf(event), new HistMap(trigger)]);
    }
  }

  /** The kernel ignores the removal of a trigger that does not exist. */
  #remove(event: string, map: HistMap | undefined): void {
    if (map === undefined) return;
    const own = map.trigger.variables.map(([name]) => name);
    const users = this.#every.filter(({ trigger }) => trigger.match?.event === event);
    if (users.some(({ trigger }) => usedVariables(trigger).some((name) => own.includes(name))))
      throw new Refusal('EBUSY');
    this.lose(event, map);
  }

  mapsOf(event: string): readonly HistMap[] {
    return this.#maps.get(event) ?? [];
  }

  /** Removes a trigger without any check. */
  lose(event: string, map: HistMap): void {
    this.#touched.add(event);
    this.#set(
      event,
      this.mapsOf(event).filter((each) => each !== map),
    );
  }

  /** Changes the content of a map. @param keys as in the trigger: `common_pid,gpa.hex` */
  change(event: string, keys: string, work: (map: HistMap) => void): void {
    const map = this.mapsOf(event).find(({ trigger }) => trigger.keys.map(keyName).join() === keys);
    if (map === undefined) throw new Error(`no trigger on ${event} with keys ${keys}`);
    this.#touched.add(event);
    work(map);
  }

  /** Removes all triggers of an event that the kernel no longer has. */
  forget(event: string): void {
    this.#maps.delete(event);
  }

  /** Events and the text of their triggers. */
  get all(): readonly (readonly [event: string, text: string])[] {
    return [...this.#maps].flatMap(([event, maps]) =>
      maps.map(({ trigger }) => [event, trigger.text] as const),
    );
  }

  get #every(): readonly HistMap[] {
    return [...this.#maps.values()].flat();
  }

  #set(event: string, maps: HistMap[]): void {
    if (maps.length === 0) this.#maps.delete(event);
    else this.#maps.set(event, maps);
  }

  wants(event: string): boolean {
    return this.#maps.has(event);
  }

  count(event: string, fields: Fields, times: number): void {
    const maps = this.#maps.get(event);
    if (maps === undefined || times <= 0) return;
    this.#touched.add(event);
    for (const map of maps) map.add(fields, times);
  }

  interval(from: string, to: string, fields: Fields, ns: number, times: number): void {
    for (const { trigger } of this.#maps.get(to) ?? []) {
      const { match } = trigger;
      if (match === undefined || match.event !== from) continue;
      const names = this.events.syntheticFields(match.synthetic);
      if (names === undefined) continue;
      const made: Record<string, number> = { common_pid: fields['common_pid'] ?? 0 };
      for (const [i, name] of names.entries())
        made[name] = this.#resolve(match.parameters[i] ?? '', from, trigger, fields, ns);
      this.count(`synthetic/${match.synthetic}`, made, times);
    }
  }

  /** A variable is a field of the first event, or the time between the two events. */
  #resolve(variable: string, from: string, trigger: HistTrigger, fields: Fields, ns: number): number {
    if (trigger.variables.some(([name, text]) => name === variable && text.startsWith('common_timestamp-')))
      return ns;
    for (const { trigger: first } of this.#maps.get(from) ?? []) {
      const field = first.variables.find(([name]) => name === variable)?.[1];
      if (field !== undefined) return fields[field] ?? 0;
    }
    return 0;
  }

  /** The lines of an event's `trigger` file. The newest trigger comes first, as in the kernel. */
  triggers(event: string): string {
    const maps = this.#maps.get(event) ?? [];
    return maps
      .map(({ trigger }) => `${trigger.text} [active]\n`)
      .reverse()
      .join('');
  }

  hist(event: string): string {
    const maps = this.#maps.get(event) ?? [];
    return maps
      .map(({ text }) => text)
      .reverse()
      .join('\n\n');
  }

  /** Events whose files are out of date. */
  takeTouched(): string[] {
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched;
  }
}
