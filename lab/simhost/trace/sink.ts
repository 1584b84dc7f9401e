/** A tracepoint's fields by name; `common_pid` among them. */
export type Fields = Readonly<Record<string, number>>;

/** Where the model tells its events. `system/event` is how an event is named. */
export interface TraceSink {
  /** Whether anybody counts it: what nobody counts need not be told. */
  wants(event: string): boolean;
  /** It happened so many times. */
  count(event: string, fields: Fields, times: number): void;
  /** From one event to another it took so long, so many times; the fields are those of the first. */
  interval(from: string, to: string, fields: Fields, ns: number, times: number): void;
}
