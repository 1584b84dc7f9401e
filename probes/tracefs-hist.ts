import { MIB } from '../kernel/units.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/** One histogram of a `hist` file. An event has one histogram per hist trigger. */
export interface HistBlock {
  /** As the kernel prints the trigger, without its state: `hist:keys=common_pid:vals=hitcount:...`. */
  readonly trigger: string;
  /** False while the trigger is paused. */
  readonly active: boolean;
  /** Names without modifiers. */
  readonly keys: readonly string[];
  /** `hitcount`, then the sums. */
  readonly values: readonly string[];
  readonly rows: number;
  /**
   * Row by row: the keys, then the values. A `.log2` key n covers numbers above 2^(n-1) up to 2^n; 64 is a
   * difference below 0. Signed fields are printed as unsigned 64-bit numbers.
   */
  readonly columns: Float64Array;
  /** The rows are left out because a key or value is not a number: text, symbol, stack, percentage. */
  readonly unreadable: boolean;
  readonly hits: number;
  /** Number of rows that the kernel printed. */
  readonly entries: number;
  /** Events that were dropped because the table was full. */
  readonly dropped: number;
}

/** A column as the kernel prints it: the text before the number, and the number's format. */
interface Column {
  readonly lead: string;
  readonly leadBytes: Uint8Array;
  readonly radix: 10 | 16;
  /** `%10llu` and `%10llx`; otherwise the number has no padding. */
  readonly padded: boolean;
  readonly maxDigits: number;
  /** `%-2llu`: a space follows a single digit. */
  readonly log2: boolean;
}

interface Totals {
  readonly hits: number;
  readonly entries: number;
  readonly dropped: number;
  /** End of the rows. */
  readonly start: number;
  /** Start of the next block. */
  readonly end: number;
}

const FORMAT = '/sys/kernel/tracing/instances/<name>/events/<system>/<event>/hist';
const HEADER = '# event histogram\n#\n# trigger info: ';
const HEADER_END = '\n#\n\n';
// A thread's name may contain newlines, but its 15 bytes are too few to forge this or the header.
const TOTALS = '\nTotals:\n    Hits: ';
const TOTALS_SHAPE =
  /\nTotals:\n {4}Hits: (\d{1,20})\n {4}Entries: (\d{1,20})\n {4}Dropped: (\d{1,20})\n(?:$|\n\n(?=# event histogram\n))/y;
/** `hist:[<name>:]keys=<key>,...:vals=<value>,...:sort=...` */
const TRIGGER_SHAPE = /^hist:(?:[^:]*:)?keys=([^:]+):vals=([^:]*):/;
/** `[<variable>=][$]<name>[.<modifier>]` */
const FIELD_SHAPE = /^(?:\w+=)?\$?(\w+)(?:\.(.+))?$/;
/** Handlers that print additional lines after each row. */
const MULTILINE = /:on(?:max|change)\(/;
const NUMBER_WIDTH = 10;
/** `%-50s` */
const TEXT_WIDTH = 50;

type NumberForm = Omit<Column, 'lead' | 'leadBytes'>;
const PADDED: NumberForm = { radix: 10, padded: true, maxDigits: 20, log2: false };
const PADDED_HEX: NumberForm = { radix: 16, padded: true, maxDigits: 16, log2: false };
const HEX: NumberForm = { radix: 16, padded: false, maxDigits: 16, log2: false };
const LOG2: NumberForm = { radix: 10, padded: false, maxDigits: 2, log2: true };
/** Number formats by modifier. */
const KEY_FORMS = new Map([
  ['', PADDED],
  ['hex', HEX],
  ['log2', LOG2],
]);
const VALUE_FORMS = new Map([
  ['', PADDED],
  ['hex', PADDED_HEX],
]);

/**
 * Parses a `hist` file of tracefs, kernel/trace/trace_events_hist.c hist_show().
 *
 * A key without a modifier may be text. The trigger does not show this; the width of the column does. Text of
 * more than 15 bytes, which is not a thread name, could imitate the end of its block.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/trace/histogram.html
 * @example parseHist('# event histogram\n#\n# trigger info: hist:keys=pid,lat.log2:vals=hitcount:sort=hitcount:' +
 *   'size=2048 [active]\n#\n\n{ pid:        254, lat: ~ 2^16 } hitcount:      11447\n\n' +
 *   'Totals:\n    Hits: 11447\n    Entries: 1\n    Dropped: 0\n')
 */
export function parseHist(text: string): HistBlock[] {
  const blocks: HistBlock[] = [];
  let at = 0;
  while (at < text.length) {
    const headerEnd = text.indexOf(HEADER_END, at);
    if (!text.startsWith(HEADER, at) || headerEnd < 0) throw malformed(FORMAT, text.slice(at));
    const from = headerEnd + HEADER_END.length;
    const totals = totalsAfter(text, from);
    blocks.push(block(text, text.slice(at + HEADER.length, headerEnd), from, totals));
    at = totals.end;
  }
  return blocks;
}

function totalsAfter(text: string, from: number): Totals {
  const start = text.indexOf(TOTALS, from);
  TOTALS_SHAPE.lastIndex = start;
  const match = start < 0 ? null : TOTALS_SHAPE.exec(text);
  if (match === null) throw malformed(FORMAT, text.slice(start < 0 ? from : start));
  const [all, hits, entries, dropped] = match;
  return {
    hits: Number(hits),
    entries: Number(entries),
    dropped: Number(dropped),
    start,
    end: start + all.length,
  };
}

function block(text: string, line: string, from: number, totals: Totals): HistBlock {
  const state = /^(.*) \[(active|paused)\]$/.exec(line);
  const spec = TRIGGER_SHAPE.exec(line);
  if (state === null || spec === null) throw malformed(FORMAT, line);
  const [, trigger = '', word] = state;
  const keys = (spec[1] ?? '').split(',');
  const values = (spec[2] ?? '').split(',');
  const layout = MULTILINE.test(trigger) ? undefined : layoutOf(keys, values);
  const columns = layout && rowsOf(text, from, totals, layout);
  return {
    trigger,
    active: word === 'active',
    keys: keys.map(nameOf),
    values: values.map(nameOf),
    rows: columns === undefined ? 0 : totals.entries,
    columns: columns ?? new Float64Array(),
    unreadable: columns === undefined,
    hits: totals.hits,
    entries: totals.entries,
    dropped: totals.dropped,
  };
}

function nameOf(field: string): string {
  return FIELD_SHAPE.exec(field)?.[1] ?? field;
}

/** Undefined if a field is not printed as one number. */
function layoutOf(keys: readonly string[], values: readonly string[]): Column[] | undefined {
  if (values[0] !== 'hitcount') return undefined;
  const layout: Column[] = [];
  for (const [i, key] of keys.entries()) {
    const [, name, modifier = ''] = FIELD_SHAPE.exec(key) ?? [];
    const form = KEY_FORMS.get(modifier);
    if (name === undefined || form === undefined) return undefined;
    layout.push(column(`${i === 0 ? '{' : ','} ${name}: ${form.log2 ? '~ 2^' : ''}`, form));
  }
  for (const [i, value] of values.entries()) {
    const [, name, modifier = ''] = FIELD_SHAPE.exec(value) ?? [];
    const form = VALUE_FORMS.get(modifier);
    if (name === undefined || form === undefined) return undefined;
    layout.push(column(`${i === 0 ? ' }' : ' '} ${name}: `, form));
  }
  return layout;
}

function column(lead: string, form: NumberForm): Column {
  return { lead, leadBytes: Buffer.from(lead, 'latin1'), ...form };
}

/** Undefined if a key is text. */
function rowsOf(
  text: string,
  from: number,
  totals: Totals,
  layout: readonly Column[],
): Float64Array | undefined {
  const shortest = layout.reduce((sum, { lead }) => sum + lead.length + 1, 1);
  if (totals.entries * shortest > totals.start - from) throw malformed(FORMAT, text.slice(totals.start));
  const columns = new Float64Array(totals.entries * layout.length);
  // Parsing bytes takes two thirds of the time of parsing characters.
  const bytes = Buffer.from(text.slice(from, totals.start), 'latin1');
  let at = 0;
  for (let row = 0; row < totals.entries; row++) {
    const after = readRow(bytes, at, layout, columns, row * layout.length);
    if (after < 0) {
      if (row === 0 && hasText(text, from, layout)) return undefined;
      throw malformed(FORMAT, text.slice(from + at));
    }
    at = after;
  }
  if (at !== bytes.length) throw malformed(FORMAT, text.slice(from + at));
  return columns;
}

/** Returns the index after the row, or -1. Allocates nothing: a large host has about 100,000 rows. */
function readRow(
  bytes: Uint8Array,
  start: number,
  layout: readonly Column[],
  columns: Float64Array,
  firstCell: number,
): number {
  let at = start;
  for (let i = 0; i < layout.length; i++) {
    const { leadBytes, radix, padded, maxDigits, log2 } = layout[i] as Column;
    for (let j = 0; j < leadBytes.length; j++, at++) {
      if (bytes[at] !== leadBytes[j]) return -1;
    }
    const numberStart = at;
    if (padded) while (bytes[at] === 32) at++;
    const digitStart = at;
    let value = 0;
    for (; ; at++) {
      const code = bytes[at] ?? 0;
      const digit = code >= 97 ? code - 87 : code - 48;
      if (digit < 0 || digit >= radix) break;
      value = value * radix + digit;
    }
    const digits = at - digitStart;
    if (digits === 0 || digits > maxDigits) return -1;
    if (padded && at - numberStart !== Math.max(digits, NUMBER_WIDTH)) return -1;
    if (log2 && digits === 1) {
      if (bytes[at] !== 32) return -1;
      at++;
    }
    columns[firstCell + i] = value;
  }
  return bytes[at] === 10 ? at + 1 : -1;
}

/**
 * Whether a key of the row has the width of text. A name may contain the text that follows its column, but
 * not at that distance.
 */
function hasText(text: string, start: number, layout: readonly Column[]): boolean {
  let at = start;
  for (let i = 0; i + 1 < layout.length; i++) {
    const { lead, radix, padded } = layout[i] as Column;
    const next = (layout[i + 1] as Column).lead;
    if (!text.startsWith(lead, at)) return false;
    const valueStart = at + lead.length;
    if (padded && radix === 10 && text.startsWith(next, valueStart + TEXT_WIDTH)) return true;
    at = text.indexOf(next, valueStart);
  }
  return false;
}

/** @param path the file; a host has many instances and events */
export function readHist(host: Host, path: string, cap = 32 * MIB): HistBlock[] {
  return parseHist(host.text(path, cap));
}
