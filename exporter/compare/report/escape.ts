import { printable } from '../../../probes/printable.ts';
import { plainName } from '../names.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text or a value of an attribute, for HTML. */
export function html(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** A name of a tenant, for Markdown: code, in which GitHub finds neither markup nor mentions. */
export function markdownName(name: string): string {
  const plain = plainName(name);
  if (/^[\w.:~+/-]+( [\w.:~+/-]+)*$/.test(plain)) return `\`${plain}\``;
  return `<code>${markdown(plain)}</code>`;
}

/** Any text, for Markdown: every character that may be markup becomes a numeric entity. */
export function markdown(text: string): string {
  return printable(text).replace(/[^\p{L}\p{N} .,:;()%+/–−×…"'-]/gu, entity);
}

/** A word joiner keeps GitHub from linking mentions and numbers of issues. */
function entity(character: string): string {
  const number = `&#${character.codePointAt(0)};`;
  return character === '@' || character === '#' ? `${number}&#8288;` : number;
}
