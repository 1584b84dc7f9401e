import { openSync } from 'node:fs';
import type { Libbpf } from '../probes/bpf/libbpf.ts';

/** A libbpf whose calls succeed, with exceptions. */
export function fakeLibbpf(more: Partial<Libbpf> = {}): Libbpf & { readonly closed: string[] } {
  const closed: string[] = [];
  return {
    closed,
    open: () => 'object',
    load: () => 0,
    close: (object) => void closed.push(String(object)),
    findProgram: () => 'program',
    programDescriptor: () => 5,
    programInfo: () => -1,
    timeRuns: () => -1,
    attachIterator: () => 'link',
    attach: () => 'link',
    linkDescriptor: () => 5,
    destroyLink: (link) => closed.push(String(link)),
    createIterator: () => openSync('/dev/null', 'r'),
    findMap: () => 'map',
    mapDescriptor: () => 6,
    keySize: () => 8,
    valueSize: () => 8,
    maxEntries: () => 4096,
    possibleCpus: () => 2,
    lookUpElement: () => 0,
    lookUpBatch: () => -1,
    updateElement: () => 0,
    deleteElement: () => 0,
    errno: () => 'EPERM',
    ...more,
  };
}
