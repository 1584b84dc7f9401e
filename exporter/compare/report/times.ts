import { durationText } from '../../../kernel/units.ts';
import type { Span } from '../model.ts';
import { NONE } from './numbers.ts';

/** `2026-11-27 08:15` in UTC. */
export function timeText(at: number): string {
  const date = new Date(at * 1000);
  return Number.isNaN(date.getTime()) ? NONE : date.toISOString().slice(0, 16).replace('T', ' ');
}

/** `59 min: 2026-11-27 08:15 to 09:15` in UTC; with their number if the times are several. */
export function spansText(spans: readonly Span[]): string {
  if (spans.length === 0) return NONE;
  const seconds = spans.reduce((sum, { start, end }) => sum + (end - start), 0);
  const start = timeText(
    spans.reduce((first, span) => Math.min(first, span.start), Number.POSITIVE_INFINITY),
  );
  const end = timeText(spans.reduce((last, span) => Math.max(last, span.end), Number.NEGATIVE_INFINITY));
  const [day] = start.split(' ');
  const short = end.startsWith(`${day} `) ? end.slice(end.indexOf(' ') + 1) : end;
  const several = spans.length > 1 ? ` in ${spans.length} times` : '';
  return `${durationText(seconds)}${several}: ${start} to ${short}`;
}
