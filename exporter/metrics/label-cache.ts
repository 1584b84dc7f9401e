import { getOrInsert } from '../../kernel/maps.ts';
import { type LabelBlock, type LabelValue, labelText } from './labels.ts';
import type { LabelList } from './samples.ts';

/** More blocks than a collection uses are kept up to this multiple, so that VMs that ended do not fill the memory. */
const MAX_UNUSED = 2;
const MIN_BLOCKS = 10_000;

/** The labels up to this node, and the nodes that may follow, by name and value. */
interface Node {
  readonly text: string;
  /** Most blocks are not continued. */
  next?: Map<string, Map<LabelValue, Node>>;
}

/**
 * Cached label blocks. Nearly all series have the same labels as in the previous collection. Formatting them again
 * would create most of the garbage of a scrape.
 */
export class LabelCache {
  #root: Node = { text: '' };
  #blocks = 0;
  /** Blocks of a histogram's buckets, by the block without `le`. */
  #buckets = new Map<string, Map<number, string>>();

  /** The labels of each family of the last collection. */
  #lists: ReadonlyMap<string, LabelList> = new Map();

  /** Number of blocks. */
  get size(): number {
    return this.#blocks;
  }

  /** The same block as `labelBlock(labels)`. */
  of<L extends string>(labels: Readonly<Record<L, LabelValue>>): LabelBlock<L> {
    let node = this.#root;
    for (const name in labels) node = this.#after(node, name, labels[name]);
    return node.text as LabelBlock<L>;
  }

  /** The block of a histogram's bucket. @param le upper bound, which may be infinite */
  bucket(block: string, le: number): string {
    const buckets = getOrInsert(this.#buckets, block, () => new Map<number, string>());
    const known = buckets.get(le);
    if (known !== undefined) return known;
    this.#blocks++;
    const made = [block, ',le="', le === Number.POSITIVE_INFINITY ? '+Inf' : le, '"'].join('');
    buckets.set(le, made);
    return made;
  }

  /** The labels that the family had in the last collection. */
  listOf(family: string): LabelList | undefined {
    return this.#lists.get(family);
  }

  /** @param families of one complete collection */
  keepLists(families: readonly (LabelList & { readonly name: string })[]): void {
    this.#lists = new Map(families.map(({ name, labels, suffixes }) => [name, { labels, suffixes }]));
  }

  /** Forgets all blocks if there are many more than a collection of `used` series needs. */
  trim(used: number): void {
    if (this.#blocks <= MAX_UNUSED * used + MIN_BLOCKS) return;
    this.#root = { text: '' };
    this.#buckets = new Map();
    this.#blocks = 0;
  }

  /** Without a closure for each label: this runs for each series. */
  #after(node: Node, name: string, value: LabelValue): Node {
    const known = node.next?.get(name)?.get(value);
    if (known !== undefined) return known;
    this.#blocks++;
    const label = labelText(name, value);
    // join() creates a flat string.
    const made = { text: node.text === '' ? label : [node.text, label].join(',') };
    node.next ??= new Map();
    getOrInsert(node.next, name, () => new Map<LabelValue, Node>()).set(value, made);
    return made;
  }
}
