type Child = Node | string;

/** Creates an element with attributes and children. Text is never parsed as markup. */
export function h(
  tag: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: Child[]
): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** An SVG with the size of its container. */
export function drawing(width: number, height: number, ...children: SVGElement[]): SVGElement {
  return svg('svg', { width, height, viewBox: `0 0 ${width} ${height}` }, ...children);
}

const pen = document.createElement('canvas').getContext('2d');

/** Width of a text in pixels, in the page's font. */
export function widthOf(text: string, pixels: number): number {
  if (pen === null) return text.length * pixels * 0.55;
  pen.font = `${pixels}px Inter, Helvetica, Arial, "DejaVu Sans", sans-serif`;
  return pen.measureText(text).width;
}

/** The text, cut to the available width. */
export function fitted(text: string, pixels: number, room: number): string {
  if (widthOf(text, pixels) <= room) return text;
  let length = text.length;
  while (length > 0 && widthOf(`${text.slice(0, length)}…`, pixels) > room) length--;
  return length < 2 ? '' : `${text.slice(0, length)}…`;
}
