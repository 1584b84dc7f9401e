import { ConfigError } from '../config/load.ts';
import type { Span } from './model.ts';

const UNITS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
};
const HOUR_MS = 3_600_000;
const EXAMPLE = '2026-11-27T04:00Z, 2026-11-27T04:00 (local time) or 1795752000';

/** Seconds of a duration such as 90m, 7d or 1h30m. @throws ConfigError */
export function durationOf(flag: string, text: string): number {
  if (!/^(\d{1,6}[smhdwy])+$/.test(text))
    throw new ConfigError(`${flag}: ${JSON.stringify(text)} is no duration: give for example 90m, 6h or 7d`);
  return [...text.matchAll(/(\d+)(\w)/g)].reduce(
    (sum, [, n, unit = '']) => sum + Number(n) * (UNITS[unit] ?? 0),
    0,
  );
}

/** A time span such as `2026-11-27T04:00Z/2026-11-27T05:00Z`. @throws ConfigError */
export function spanOf(flag: string, text: string): Span {
  const parts = text.split('/');
  const [from = '', to = ''] = parts;
  if (parts.length !== 2)
    throw new ConfigError(`${flag}: ${JSON.stringify(text)} is no time span: give FROM/TO`);
  const span = { start: timeOf(flag, from), end: timeOf(flag, to) };
  if (span.end <= span.start) throw new ConfigError(`${flag}: ${to} is not after ${from}`);
  return span;
}

/** Seconds of the epoch. A time without a zone is local. @throws ConfigError */
export function timeOf(flag: string, text: string): number {
  if (/^\d{9,10}(\.\d{1,9})?$/.test(text)) return Number(text);
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  if (match === null)
    throw new ConfigError(`${flag}: ${JSON.stringify(text)} is no time: give for example ${EXAMPLE}`);
  const [, day = '', clock = '00:00', zone] = match;
  const at = Date.parse(`${day}T${clock}${zone ?? ''}`);
  // JavaScript makes March 2 of February 30.
  if (Number.isNaN(at) || !isOnCalendar(day))
    throw new ConfigError(`${flag}: ${JSON.stringify(text)} does not exist`);
  if (zone === undefined) checkClockChange(flag, text, at, clock.slice(0, 5));
  return at / 1000;
}

/** Whether a time has no zone, so that it depends on the machine. */
export function isLocal(text: string): boolean {
  return /[-T ]/.test(text) && !/(Z|[+-]\d{2}:\d{2})$/.test(text);
}

function isOnCalendar(day: string): boolean {
  const midnight = new Date(`${day}T00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}

/** On a day with a change of the clock, an hour does not exist, or occurs twice. */
function checkClockChange(flag: string, text: string, at: number, clock: string): void {
  if (clockAt(at) !== clock)
    throw new ConfigError(
      `${flag}: ${JSON.stringify(text)} does not exist here: the clock was moved forward. Give a zone, such as Z`,
    );
  if ([at - HOUR_MS, at + HOUR_MS].some((other) => clockAt(other) === clock))
    throw new ConfigError(
      `${flag}: ${JSON.stringify(text)} occurs twice: the clock was moved back. Give a zone, such as Z`,
    );
}

function clockAt(ms: number): string {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
}
