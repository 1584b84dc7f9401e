import { malformed } from './errors.ts';
import type { Host } from './host.ts';

export interface EventField {
  /** As in C, followed by the length of an array: `char[16]`. */
  readonly type: string;
  readonly offset: number;
  readonly size: number;
  readonly signed: boolean;
}

/** The names that the kernel prints for the values of a field. */
export interface SymbolTable {
  readonly field: string;
  /** Mask that is applied to the value before the lookup. */
  readonly mask: number | undefined;
  /** A negative number is stored as its unsigned 32-bit value. */
  readonly names: ReadonlyMap<number, string>;
}

export interface EventFormat {
  readonly name: string;
  readonly id: number;
  readonly fields: ReadonlyMap<string, EventField>;
  /** In the order of the print format: `kvm_exit` on x86 has the table of VMX, then that of SVM. */
  readonly symbols: readonly SymbolTable[];
}

const FORMAT = '/sys/kernel/tracing/events/<system>/<event>/format';
const HEADER = /^name: (\S+)\nID: (\d{1,9})\nformat:\n/;
const PRINT = '\nprint fmt: ';
const SYMBOLIC = '__print_symbolic(';
const TABLE_SUBJECT = /\s*REC->(\w+)\s*(?:&\s*(0x[\da-fA-F]{1,13}|\d{1,15})\s*)?,/y;
/** `{ <expression>, "<name>" "<continued name>" },` */
const TABLE_ENTRY = /\s*\{([^,"{}]*),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\}\s*,?/y;
const STRING = /"((?:[^"\\]|\\.)*)"\s*/g;
const INTEGER = '(0x[\\da-f]{1,16}|0|[1-9]\\d{0,19})[ul]{0,3}';
const EXPRESSION = new RegExp(`^(?:${INTEGER}\\s*(\\+|<<)\\s*${INTEGER}|(-?)\\s*${INTEGER})$`, 'i');

/**
 * Parses `/sys/kernel/tracing/events/<system>/<event>/format`, kernel/trace/trace_events.c f_show().
 *
 * From the print format it takes only the tables on a field, or on a field and a mask. Entries that it cannot
 * evaluate, such as complex C expressions and enumerators, are left out.
 *
 * @throws SourceError malformed
 * @example parseEventFormat('name: kvm_mmio\nID: 38\nformat:\n\tfield:u32 type;\toffset:8;\tsize:4;\tsigned:0;\n' +
 *   '\nprint fmt: "mmio %s", __print_symbolic(REC->type, { 0, "unsatisfied-read" }, { 1, "read" })\n')
 */
export function parseEventFormat(text: string): EventFormat {
  const [header, name = '', id] = HEADER.exec(text) ?? [];
  const printAt = text.indexOf(PRINT);
  if (header === undefined || printAt < 0 || !text.endsWith('\n')) throw malformed(FORMAT, text);
  const fields = new Map<string, EventField>();
  for (const line of text.slice(header.length, printAt).split('\n')) {
    if (line !== '') fields.set(...field(line));
  }
  return { name, id: Number(id), fields, symbols: tables(text.slice(printAt)) };
}

/** `\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;` */
function field(line: string): [string, EventField] {
  const [declaration = '', offset = '', size = '', signed = ''] = line.split(';');
  const bracket = declaration.endsWith(']') ? declaration.indexOf('[') : declaration.length;
  const before = declaration.slice(0, bracket);
  const nameStart = Math.max(before.lastIndexOf(' '), before.lastIndexOf('*')) + 1;
  const type = before.slice('\tfield:'.length, nameStart).trimEnd() + declaration.slice(bracket);
  const name = before.slice(nameStart);
  const attributes = [/^\toffset:(\d{1,9})$/, /^\tsize:(\d{1,9})$/, /^\tsigned:([01])$/] as const;
  const start = attributes[0].exec(offset)?.[1];
  const length = attributes[1].exec(size)?.[1];
  const sign = attributes[2].exec(signed)?.[1];
  const isField = declaration.startsWith('\tfield:') && type !== '' && /^\w+$/.test(name);
  if (!isField || start === undefined || length === undefined || sign === undefined)
    throw malformed(FORMAT, line);
  return [name, { type, offset: Number(start), size: Number(length), signed: sign === '1' }];
}

function tables(print: string): SymbolTable[] {
  const found: SymbolTable[] = [];
  let at = print.indexOf(SYMBOLIC);
  while (at >= 0) {
    TABLE_SUBJECT.lastIndex = at + SYMBOLIC.length;
    const [, subject, mask] = TABLE_SUBJECT.exec(print) ?? [];
    if (subject !== undefined) {
      const names = namesAt(print, TABLE_SUBJECT.lastIndex);
      found.push({ field: subject, mask: mask === undefined ? undefined : Number(mask), names });
    }
    at = print.indexOf(SYMBOLIC, at + SYMBOLIC.length);
  }
  return found;
}

function namesAt(print: string, start: number): Map<number, string> {
  const names = new Map<number, string>();
  TABLE_ENTRY.lastIndex = start;
  for (;;) {
    const [, expression, literals = ''] = TABLE_ENTRY.exec(print) ?? [];
    if (expression === undefined) return names;
    const value = evaluated(expression);
    // The kernel prints the first match.
    if (value !== undefined && !names.has(value)) names.set(value, joined(literals));
  }
}

function joined(literals: string): string {
  return Array.from(literals.matchAll(STRING), ([, inside = '']) => inside.replace(/\\(.)/g, '$1')).join('');
}

/** Evaluates `0x060`, `-1`, `0x040 + 14`, `(1U << 3)`. With one operator, parentheses are redundant. */
function evaluated(expression: string): number | undefined {
  const match = EXPRESSION.exec(expression.replace(/[()]/g, ' ').trim());
  if (match === null) return undefined;
  const [, left, operator, right, minus, single] = match;
  let value = Number(single);
  if (operator === '+') value = Number(left) + Number(right);
  else if (operator === '<<') value = Number(left) * 2 ** Number(right);
  else if (minus === '-') value = value > 0x80000000 ? Number.NaN : -value >>> 0;
  return Number.isSafeInteger(value) ? value : undefined;
}

export function readEventFormat(host: Host, system: string, event: string): EventFormat {
  return parseEventFormat(host.text(`${host.roots.tracefs}/events/${system}/${event}/format`));
}
