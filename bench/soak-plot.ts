const WIDTH = 800;
const HEIGHT = 240;
const LEFT = 60;
const BOTTOM = 30;
const TOP = 30;

/** A line as SVG, from zero upwards. @param points seconds and value */
export function plot(title: string, points: readonly (readonly [number, number])[]): string {
  const end = points.at(-1)?.[0] ?? 1;
  const most = Math.max(1, ...points.map(([, value]) => value));
  const x = (at: number): number => LEFT + (at / end) * (WIDTH - LEFT - 10);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
  const line = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  const text = (at: number, up: number, anchor: string, content: string): string =>
    `<text x="${at}" y="${up}" text-anchor="${anchor}">${content}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<title>${title}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>
${text(LEFT, 18, 'start', title)}
${text(LEFT - 6, y(most) + 4, 'end', most.toFixed(0))}
${text(LEFT - 6, y(0) + 4, 'end', '0')}
${text(WIDTH - 10, HEIGHT - 10, 'end', `${(end / 60).toFixed(0)} min`)}
<path d="M${LEFT} ${y(most)}V${y(0)}H${WIDTH - 10}" fill="none" stroke="#888"/>
<polyline points="${line}" fill="none" stroke="#1f60c4"/>
</svg>
`;
}
