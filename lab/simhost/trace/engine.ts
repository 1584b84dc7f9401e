import { HistMap } from './hist-map.ts';
import type { Fields, TraceSink } from './sink.ts';
import { type HistTrigger, parseTrigger } from './trigger.ts';

/** Synthetic events by name, with their fields in order. */
export type SyntheticEvents = ReadonlyMap<string, readonly string[]>;

/** The hist triggers of one trace instance, with their maps. */
export class TraceEngine implements TraceSink {
  /** By `system/event`, in the order in which the triggers were set. */
  readonly #maps = new Map<string, HistMap[]>();
  /** Events whose maps changed since the last update of their files. */
  readonly #touched = new Set<string>();

  constructor(private readonly synthetic: SyntheticEvents) {}

  get isIdle(): boolean {
    return this.#maps.size === 0;
  }

  /** Executes a line written into an event's `trigger` file: sets, clears or removes a trigger. */
  write(event: string, line: string): void {
    const removes = line.startsWith('!');
    const clears = /:clear(?= if |$)/.test(line);
    const trigger = parseTrigger(
      line
        .replace(/^!/, '')
        .replace(/ \[\w+\]$/, '')
        .replace(/:clear(?= if |$)/, ''),
    );
    if (trigger === undefined) return;
    const maps = this.#maps.get(event) ?? [];
    const found = maps.find((map) => map.trigger.identity === trigger.identity);
    this.#touched.add(event);
    if (removes)
      this.#set(
        event,
        maps.filter((map) => map !== found),
      );
    else if (found === undefined && !clears) this.#set(event, [...maps, new HistMap(trigger)]);
    else if (clears) found?.clear();
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
      const names = this.synthetic.get(match.synthetic);
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
