import type { Counted } from '../../../probes/bpf/count-map.ts';
import { malformed } from '../../../probes/errors.ts';
import type { TallyRows } from '../tally.ts';
import type { MapOfCounts, View } from './objects.ts';

/** A row of a map of counts. */
export interface Row {
  readonly tid: number;
  /** The key's fields after the thread id. */
  readonly fields: readonly number[];
  /** Number of events that the row stands for. */
  readonly weight: number;
  /** The rest of the value, by `MapOfCounts.value`. */
  readonly more: readonly number[];
}

const MORE: Readonly<Record<MapOfCounts['value'], number>> = { weight: 0, sum: 1, exits: 2 };

/** @throws SourceError malformed, if the map does not have the layout of `map` */
export function rowsOf({ rows, keys, values }: Counted, map: MapOfCounts, sizes: Sizes): Row[] {
  const { keySize, valueSize } = sizes;
  const offsets = offsetsOf(map);
  const more = MORE[map.value];
  if (offsets.end !== keySize || 8 + 8 * more !== valueSize)
    throw malformed(map.name, `keys of ${keySize} and values of ${valueSize} bytes`);
  return Array.from({ length: rows }, (_, i) => {
    const [key, value] = [i * keySize, i * valueSize];
    return {
      tid: keys.readUInt32LE(key),
      fields: map.fields.map((bytes, j) => {
        const at = key + (offsets.fields[j] ?? 0);
        return bytes === 4 ? keys.readUInt32LE(at) : u64(keys, at);
      }),
      weight: u64(values, value),
      more: Array.from({ length: more }, (_, j) => u64(values, value + 8 * (j + 1))),
    };
  });
}

/** Bytes of a map's keys and values. */
export interface Sizes {
  readonly keySize: number;
  readonly valueSize: number;
}

/** The rows of a map as its tally takes them. */
export function tallyRows(rows: readonly Row[], { of }: View, hasSum: boolean, dropped: number): TallyRows {
  const columns: number[] = [];
  let taken = 0;
  let width = 0;
  for (const { tid, fields, weight, more } of rows) {
    const rest = of(fields);
    if (rest === undefined) continue;
    taken++;
    width = rest.length;
    columns.push(tid, ...rest, weight);
    if (hasSum) columns.push(more[0] ?? 0);
  }
  return {
    rows: taken,
    columns: Float64Array.from(columns),
    keys: width + 1,
    values: hasSum ? 2 : 1,
    dropped,
  };
}

/** As the compiler lays out the key: no field crosses a multiple of its size. */
function offsetsOf({ fields }: MapOfCounts): { readonly fields: readonly number[]; readonly end: number } {
  const offsets: number[] = [];
  let end = 4;
  for (const bytes of fields) {
    end = Math.ceil(end / bytes) * bytes;
    offsets.push(end);
    end += bytes;
  }
  const alignment = Math.max(4, ...fields);
  return { fields: offsets, end: Math.ceil(end / alignment) * alignment };
}

/** Exact up to 2^53. */
function u64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
