import { html } from './escape.ts';

export type Attributes = Readonly<Record<string, string | number>>;

/** An element of SVG. The content is markup: `text()` escapes. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const texts = Object.entries(attributes).map(([key, value]) => ` ${key}="${html(numeral(value))}"`);
  return `<${name}${texts.join('')}>${content}</${name}>`;
}

export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, html(content));
}

/** A picture as wide as its place. @param label description for screen readers */
export function picture(width: number, height: number, label: string, content: string): string {
  const attributes = { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label };
  return element('svg', attributes, content);
}

/** A tenth of a pixel is exact enough. */
function numeral(value: string | number): string {
  return typeof value === 'string' ? value : String(Math.round(value * 10) / 10);
}
