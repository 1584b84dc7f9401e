/** A tracepoint's fields by name, including `common_pid`. */
export type Fields = Readonly<Record<string, number>>;

/** Receives the events of the model. Events are named `system/event`. */
export interface TraceSink {
  /** Whether a trigger counts the event. The model can skip other events. */
  wants(event: string): boolean;
  /** The event occurred this many times. */
  count(event: string, fields: Fields, times: number): void;
  /** The time between two events, and how often it occurred. The fields are those of the first event. */
  interval(from: string, to: string, fields: Fields, ns: number, times: number): void;
}
