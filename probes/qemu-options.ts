import { keyval } from './qemu-command-line.ts';

/** An option's keys; what is nested in JSON has dotted ones: `cache.direct`, `iothread-vq-mapping.0.vqs.1`. */
export type Options = ReadonlyMap<string, string>;

const MAX_DEPTH = 8;
const MAX_KEYS = 4096;

/** The two forms of QEMU's options as one. @param implied the key of a first part without `=` */
export function optionMap(text: string, implied: string): Options {
  if (!text.startsWith('{')) return keyval(text, implied);
  const map = new Map<string, string>();
  try {
    flatten(JSON.parse(text), '', 0, map);
  } catch {
    map.clear();
  }
  return map;
}

/** In the spelling of key=value. */
function flatten(value: unknown, key: string, depth: number, map: Map<string, string>): void {
  if (depth > MAX_DEPTH || map.size >= MAX_KEYS || value === null) return;
  if (typeof value === 'object') {
    for (const [name, inner] of Object.entries(value)) {
      flatten(inner, key === '' ? name : `${key}.${name}`, depth + 1, map);
    }
  } else map.set(key, typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));
}

/** A switch as qapi/qobject-input-visitor.c reads it; undefined where it is not given, or nonsense. */
export function flag(options: Options, key: string): boolean | undefined {
  const value = options.get(key);
  if (value === 'on' || value === 'yes' || value === 'true' || value === 'y') return true;
  return value === 'off' || value === 'no' || value === 'false' || value === 'n' ? false : undefined;
}
