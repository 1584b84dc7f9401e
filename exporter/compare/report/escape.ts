import { printable } from '../../../probes/printable.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Longer names are cut: nothing limits a libvirt name. */
const MAX_NAME = 60;

/** A name of a tenant, for terminals: without control characters, and not longer than 60 characters. */
export function plainName(name: string): string {
  const characters = [...name];
  const short = characters.length > MAX_NAME ? `${characters.slice(0, MAX_NAME - 1).join('')}…` : name;
  return short === '' ? '""' : printable(short);
}

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

/** Any text, for Markdown: every character that may be markup becomes a number. */
export function markdown(text: string): string {
  return printable(text).replace(
    /[^\p{L}\p{N} .,:;()%+/–−×…"'-]/gu,
    (character) => `&#${character.codePointAt(0)};`,
  );
}
