/** Means of the minutes of the last hour by series; null is a gap. */
export type Hour = Readonly<Record<string, readonly (number | null)[]>>;

/** The value of the last minute. */
export function latest(hour: Hour | undefined, series: string): number | undefined {
  return hour?.[series]?.at(-1) ?? undefined;
}

/** An SVG path from 0 to the largest value; empty for fewer than two values in a row. */
export function pathOf(values: readonly (number | null)[], width: number, height: number): string {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  const pieces: string[] = [];
  let isOpen = false;
  for (const [i, value] of values.entries()) {
    if (value === null) isOpen = false;
    else {
      const x = (i / Math.max(1, values.length - 1)) * width;
      const y = height - 1 - (most === 0 ? 0 : value / most) * (height - 2);
      pieces.push(`${isOpen ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`);
      isOpen = true;
    }
  }
  return pieces.some((piece) => piece.startsWith('L')) ? pieces.join('') : '';
}
