import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
}

/** Files of uPlot by the name that the page requests. */
const VENDOR: Readonly<Record<string, string>> = {
  'vendor/uplot.js': 'uplot/dist/uPlot.esm.js',
  'vendor/uplot.css': 'uplot/dist/uPlot.min.css',
};

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
};

/**
 * All files of the page, by name. Read once at startup, so that no request opens a file. The modules are
 * plain JavaScript as the compiler wrote them.
 *
 * @param telemetryPath which index.html links to
 */
export function readAssets(telemetryPath: string): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>();
  const folder = fileURLToPath(new URL('./browser/', import.meta.url));
  for (const name of readdirSync(folder)) {
    const content = readFileSync(folder + name);
    const asset = assetOf(name, name === 'index.html' ? linked(content, telemetryPath) : content);
    if (asset !== undefined) assets.set(name, asset);
  }
  for (const [name, file] of Object.entries(VENDOR)) {
    const asset = assetOf(name, readFileSync(fileURLToPath(import.meta.resolve(file))));
    if (asset !== undefined) assets.set(name, asset);
  }
  return assets;
}

function linked(index: Buffer, telemetryPath: string): Buffer {
  return Buffer.from(index.toString().replaceAll(/\/metrics(?=["<])/g, telemetryPath));
}

function assetOf(name: string, content: Buffer): Asset | undefined {
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)];
  if (type === undefined) return undefined;
  // Source maps are not served.
  const body = Buffer.from(content.toString().replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'));
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  return { body, type, etag: `"${digest}"` };
}
