import type { Span } from '../model.ts';

/** A piece of the axis: a time in which something was measured. */
interface Piece extends Span {
  readonly from: number;
  readonly to: number;
}

export interface TimeAxis {
  /** The place of a time; undefined if it is in a pause between pieces. */
  readonly x: (at: number) => number | undefined;
  /** Where pieces begin. */
  readonly begins: readonly { readonly at: number; readonly x: number }[];
}

/** Pauses longer than this share of the whole are cut out. */
const LONGEST_PAUSE = 0.04;
/** Pixels of a pause that was cut out. */
const CUT = 10;

/** An axis without long pauses, so that a phase of today may stand beside one of last week. */
export function timeAxis(spans: readonly Span[], from: number, to: number): TimeAxis {
  const sum = spans.reduce((all, { start, end }) => all + (end - start), 0);
  const merged = mergedSpans(spans, LONGEST_PAUSE * sum);
  const seconds = merged.reduce((all, { start, end }) => all + (end - start), 0);
  const scale = (to - from - CUT * (merged.length - 1)) / (seconds || 1);
  const pieces: Piece[] = [];
  let at = from;
  for (const { start, end } of merged) {
    const next = at + (end - start) * scale;
    pieces.push({ start, end, from: at, to: next });
    at = next + CUT;
  }
  return {
    x: (time) => {
      const piece = pieces.find(({ start, end }) => start <= time && time <= end);
      return piece === undefined ? undefined : piece.from + (time - piece.start) * scale;
    },
    begins: pieces.map((piece) => ({ at: piece.start, x: piece.from })),
  };
}

/** Sorted, without those that overlap or have a shorter pause between them. */
export function mergedSpans(spans: readonly Span[], pause: number): Span[] {
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start - last.end <= pause) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}
