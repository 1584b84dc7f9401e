/** Where an overlay keeps its files; paths of whoever mounted it. */
export interface OverlayLayers {
  /** Takes what is written; undefined for an overlay that is read only. */
  readonly upper: string | undefined;
  /** The topmost first. */
  readonly lower: readonly string[];
}

/**
 * The options of an overlay mount in mountinfo: `upperdir=`, `lowerdir=` with colons between layers, and the `lowerdir+=` and
 * `datadir+=` of Linux 6.8, one for each. A colon inside a name has a backslash before it.
 *
 * @see https://docs.kernel.org/filesystems/overlayfs.html
 * @example parseOverlayOptions('rw,lowerdir=/l2:/l1,upperdir=/u,workdir=/w') // upper '/u', lower ['/l2', '/l1']
 */
export function parseOverlayOptions(options: string): OverlayLayers {
  let upper: string | undefined;
  const lower: string[] = [];
  for (const option of optionsOf(options)) {
    const value = option.slice(option.indexOf('=') + 1);
    if (option.startsWith('upperdir=')) upper = value;
    else if (option.startsWith('lowerdir=')) lower.push(...layersOf(value));
    else if (/^(?:lowerdir|datadir)\+=/.test(option)) lower.push(value);
  }
  return { upper, lower };
}

/** Old kernels write a comma inside a value with a backslash, new ones as \054. */
function optionsOf(text: string): string[] {
  return text.split(/(?<!\\),/).map((option) => unescapeOctal(option.replaceAll('\\,', ',')));
}

function layersOf(value: string): string[] {
  return value
    .split(/(?<!\\):/)
    .map((layer) => layer.replaceAll('\\:', ':'))
    .filter((layer) => layer !== '');
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
