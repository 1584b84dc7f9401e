import { el } from './dom.ts';

const SHOWN_MS = 1500;

/** A command line with a button that copies it. */
export function command(text: string): HTMLElement {
  const code = el('code', {}, text);
  const button = el('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${text}` }, 'Copy');
  button.addEventListener('click', () => {
    void copy(code, text).then((isCopied) => {
      button.textContent = isCopied ? 'Copied' : 'Press Ctrl-C';
      setTimeout(() => {
        button.textContent = 'Copy';
      }, SHOWN_MS);
    });
  });
  return el('div', { class: 'command' }, code, button);
}

/** Without TLS a browser has no clipboard API, except on localhost: the text is selected for Ctrl-C. */
async function copy(code: HTMLElement, text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    document.getSelection()?.selectAllChildren(code);
    return false;
  }
}
