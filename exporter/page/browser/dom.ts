type Child = Node | string | undefined;

/** Attributes, including `class`. undefined values are omitted. */
type Attributes = Readonly<Record<string, string | undefined>>;

/** Creates an element. Text is never parsed as markup. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Writes only if the text differs, to avoid needless layout. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string | undefined): void {
  if (value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Replaces the children when their input has changed. */
export class Part {
  #made: string | undefined;

  constructor(readonly element: HTMLElement) {}

  update(from: unknown, make: () => readonly Child[]): void {
    const key = JSON.stringify(from);
    if (key === this.#made) return;
    this.#made = key;
    this.element.replaceChildren(...make().filter((child) => child !== undefined));
  }
}

/** `#/vm/NAME`. */
export function linkTo(vm: string): string {
  return `#/vm/${encodeURIComponent(vm)}`;
}
