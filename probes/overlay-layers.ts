/** Layers of an overlay mount. The paths are those of the process that mounted it. */
export interface OverlayLayers {
  /** Receives all writes; undefined for a read-only overlay. */
  readonly upper: string | undefined;
  /** Topmost layer first. */
  readonly lower: readonly string[];
  /** Whether each file has its data in the layer that has its name: not with `metacopy=on` or data layers. */
  readonly areFilesWhole: boolean;
}

/**
 * Parses the options of an overlay mount in mountinfo: `upperdir=`, `lowerdir=` with colons between layers,
 * and the `lowerdir+=` and `datadir+=` of Linux 6.8, one per layer. A backslash escapes a colon in a name.
 *
 * @see https://docs.kernel.org/filesystems/overlayfs.html
 * @example parseOverlayOptions('rw,lowerdir=/l2:/l1,upperdir=/u,workdir=/w') // '/u', ['/l2', '/l1'], true
 */
export function parseOverlayOptions(options: string): OverlayLayers {
  let upper: string | undefined;
  const lower: string[] = [];
  let areFilesWhole = true;
  for (const option of optionsOf(options)) {
    const value = option.slice(option.indexOf('=') + 1);
    if (/^(?:metacopy=on$|datadir\+=|lowerdir=.*::)/s.test(option)) areFilesWhole = false;
    if (option.startsWith('upperdir=')) upper = value;
    else if (option.startsWith('lowerdir=')) lower.push(...layersOf(value));
    else if (/^(?:lowerdir|datadir)\+=/.test(option)) lower.push(value);
  }
  return { upper, lower, areFilesWhole };
}

/** Old kernels escape a comma in a value with a backslash, new ones as \054. */
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
