import { type Filter, parseFilter } from './filter.ts';

export interface Key {
  readonly field: string;
  /** `hex`, `log2`, or nothing. */
  readonly modifier: string;
}

/** `onmatch(system.event).trace(name,$a,$b)` */
export interface Match {
  /** `system/event` whose variables are used. */
  readonly event: string;
  readonly synthetic: string;
  /** Variables without `$`. */
  readonly parameters: readonly string[];
}

/** A hist trigger as the client wrote it. */
export interface HistTrigger {
  readonly keys: readonly Key[];
  /** Fields to sum, besides the hitcount. */
  readonly sums: readonly string[];
  /** Name and expression. */
  readonly variables: readonly (readonly [string, string])[];
  readonly size: number;
  readonly match: Match | undefined;
  readonly filterText: string;
  readonly filter: Filter;
  /** The kernel's spelling, without the state. */
  readonly text: string;
  /** Two triggers with the same identity are the same trigger. */
  readonly identity: string;
}

const DEFAULT_SIZE = 2048;
const MATCH = /^onmatch\((\w+)\.(\w+)\)\.trace\((\w+)((?:,\$\w+)*)\)$/;
const VARIABLE = /^(\w+)=(.+)$/;

/**
 * Parses a line for a `trigger` file, kernel/trace/trace_events_hist.c event_hist_trigger_parse(). Returns
 * undefined for a line that this simulator does not support.
 * @param line without `!`
 * @see https://docs.kernel.org/trace/histogram.html
 * @example parseTrigger('hist:keys=common_pid,gpa.hex:size=4000')?.text
 *   // hist:keys=common_pid,gpa.hex:vals=hitcount:sort=hitcount:size=4096
 */
export function parseTrigger(line: string): HistTrigger | undefined {
  const [, spec = '', filterText = ''] = /^hist:(.*?)(?: if (.*))?$/s.exec(line.trim()) ?? [];
  const filter = filterText === '' ? () => true : parseFilter(filterText);
  if (spec === '' || filter === undefined) return undefined;
  let keys: Key[] = [];
  let sums: string[] = [];
  const variables: (readonly [string, string])[] = [];
  let size = DEFAULT_SIZE;
  let sort = 'hitcount';
  let match: Match | undefined;
  for (const part of spec.split(':')) {
    const [name = '', value = ''] = splitOnce(part, '=');
    if (name === 'keys' || name === 'key') keys = value.split(',').map(keyOf);
    else if (name === 'vals' || name === 'values' || name === 'val')
      sums = value.split(',').filter((field) => field !== 'hitcount');
    else if (name === 'size') size = 2 ** Math.max(7, Math.ceil(Math.log2(Number(value))));
    else if (name === 'sort') sort = value;
    else if (part.startsWith('onmatch')) match = matchOf(part);
    else if (name !== 'clock' && value !== '') variables.push(...variablesOf(part));
  }
  if (keys.length === 0 || Number.isNaN(size)) return undefined;
  const usesClock = variables.some(([, expression]) => expression.includes('common_timestamp'));
  const identity = [
    `hist:keys=${keys.map(keyName).join(',')}`,
    `vals=${['hitcount', ...sums].join(',')}`,
    ...(variables.length === 0 ? [] : [variables.map((pair) => pair.join('=')).join(',')]),
  ];
  const action = match === undefined ? [] : [actionText(match)];
  const condition = filterText === '' ? '' : ` if ${filterText}`;
  const text = [
    ...identity,
    `sort=${sort}`,
    `size=${size}`,
    ...(usesClock ? ['clock=global'] : []),
    ...action,
  ].join(':');
  return {
    keys,
    sums,
    variables,
    size,
    match,
    filterText,
    filter,
    text: `${text}${condition}`,
    identity: [...identity, ...action].join(':') + condition,
  };
}

/** `gpa.hex` */
export function keyName({ field, modifier }: Key): string {
  return modifier === '' ? field : `${field}.${modifier}`;
}

function keyOf(text: string): Key {
  const [field = '', modifier = ''] = splitOnce(text, '.');
  return { field, modifier };
}

function variablesOf(part: string): (readonly [string, string])[] {
  return part.split(',').flatMap((pair) => {
    const [, name, expression] = VARIABLE.exec(pair) ?? [];
    return name === undefined || expression === undefined ? [] : [[name, expression] as const];
  });
}

function matchOf(part: string): Match | undefined {
  const [, system, event, synthetic, parameters = ''] = MATCH.exec(part) ?? [];
  if (system === undefined || event === undefined || synthetic === undefined) return undefined;
  return {
    event: `${system}/${event}`,
    synthetic,
    parameters: parameters
      .split(',')
      .slice(1)
      .map((parameter) => parameter.slice(1)),
  };
}

function actionText({ event, synthetic, parameters }: Match): string {
  const list = parameters.map((parameter) => `,$${parameter}`).join('');
  return `onmatch(${event.replace('/', '.')}).trace(${synthetic}${list})`;
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
