import { syntheticFormat } from './formats.ts';
import { Refusal } from './refusal.ts';

const FIRST_ID = 3000;

/** A synthetic event that a client defined. */
export interface SyntheticEvent {
  readonly name: string;
  /** As in synthetic_events: `pid_t pid; u64 lat` */
  readonly declared: string;
  readonly fields: readonly string[];
  readonly format: string;
}

/** Parses `name type field; ...`: kernel/trace/trace_events_synth.c. @throws Refusal */
export function parseSynthetic(line: string, count: number): SyntheticEvent {
  const [, name = '', declared = ''] = /^(?:s:)?(\w+)\s+(.+?);?\s*$/.exec(line) ?? [];
  if (name === '') throw new Refusal('EINVAL', 'Invalid synthetic event command');
  return {
    name,
    declared,
    fields: declared.split(';').map((field) => /(\w+)\s*$/.exec(field)?.[1] ?? ''),
    format: syntheticFormat(name, declared, FIRST_ID + count),
  };
}
