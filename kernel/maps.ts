interface Entries<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

/** Map.getOrInsertComputed(), which Node.js 20 lacks. */
export function getOrInsert<K, V>(entries: Entries<K, V>, key: K, make: () => V): V {
  const known = entries.get(key);
  if (known !== undefined) return known;
  const made = make();
  entries.set(key, made);
  return made;
}

/** Appends a value to the list of its key. */
export function append<K, V>(lists: Entries<K, V[]>, key: K, ...values: readonly V[]): void {
  getOrInsert(lists, key, () => []).push(...values);
}

/** Adds to the number of a key. */
export function addTo<K>(counts: Map<K, number>, key: K, count: number): Map<K, number> {
  return counts.set(key, (counts.get(key) ?? 0) + count);
}

/** Map.groupBy(), which Node.js 20 lacks. */
export function groupBy<K, V>(values: Iterable<V>, keyOf: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of values) append(groups, keyOf(value), value);
  return groups;
}
