import { parseLibvirtCpuset } from './libvirt-cpuset.ts';
import type { FilesByUse } from './qemu-files.ts';

/** An element as the XML parser returns it. Attribute names begin with `@`. */
export type Element = Record<string, unknown>;

/** The host CPUs that libvirt assigned to each thread. A thread without its own pin has no entry. */
export interface LibvirtPins {
  readonly vcpus: ReadonlyMap<number, readonly number[]>;
  readonly iothreads: ReadonlyMap<number, readonly number[]>;
  readonly emulator: readonly number[] | undefined;
}

/** A `<disk>`; undefined means the default of libvirt or QEMU. */
export interface LibvirtDisk {
  /** `vda`, `sda`. */
  readonly target: string;
  /** What it is on: `file`, `block`, `network`, `nvme`, `vhostuser`, ... */
  readonly type: string | undefined;
  readonly iothread: number | undefined;
  /** IOThreads of its queues, libvirt 10 and newer. IOThreads without queues get the queues round-robin. */
  readonly iothreads: readonly { readonly id: number; readonly queues: readonly number[] }[];
  readonly queues: number | undefined;
  /** `none`, `writeback`, `directsync`, ... */
  readonly cache: string | undefined;
  /** `native`, `io_uring` or `threads`. */
  readonly io: string | undefined;
  readonly source: string | undefined;
}

/**
 * Reads `<cputune>`. Without a pin there, `<vcpu cpuset=>` applies to vCPUs, IOThreads and the emulator
 * (src/qemu/qemu_process.c qemuProcessSetupPid()), unless placement is `auto`: then numad chose the CPUs and
 * nobody configured them. A malformed CPU set invalidates only its own pin.
 *
 * @param cpuCount of the host; undefined if unknown
 */
export function pinsOf(
  domain: Element,
  vcpus: readonly number[],
  iothreads: readonly number[],
  cpuCount: number | undefined,
): LibvirtPins {
  const cpuset = cpusetReader(cpuCount);
  const cputune = object(domain['cputune']);
  const vcpu = object(domain['vcpu']);
  const shared = vcpu['@placement'] === 'auto' ? undefined : cpuset(vcpu['@cpuset']);
  const pinned = (ids: readonly number[], entries: unknown, key: string): Map<number, readonly number[]> => {
    const map = new Map<number, readonly number[]>();
    if (shared !== undefined) for (const id of ids) map.set(id, shared);
    for (const entry of list(entries)) {
      const id = number(entry[key]);
      const cpus = cpuset(entry['@cpuset']);
      if (id === undefined) continue;
      if (cpus === undefined) map.delete(id);
      else map.set(id, cpus);
    }
    return map;
  };
  const emulator = cputune['emulatorpin'];
  return {
    vcpus: pinned(vcpus, cputune['vcpupin'], '@vcpu'),
    iothreads: pinned(iothreads, cputune['iothreadpin'], '@iothread'),
    emulator: emulator === undefined ? shared : cpuset(object(emulator)['@cpuset']),
  };
}

/** Shares one list between threads with the same text: 100 vCPUs on 512 CPUs each cost as much as one. */
function cpusetReader(cpuCount: number | undefined): (value: unknown) => readonly number[] | undefined {
  const read = new Map<unknown, readonly number[] | undefined>();
  return (value) => {
    if (!read.has(value)) read.set(value, parsed(value, cpuCount));
    return read.get(value);
  };
}

function parsed(value: unknown, cpuCount: number | undefined): readonly number[] | undefined {
  try {
    return typeof value === 'string' ? parseLibvirtCpuset(value, cpuCount) : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the disks without CD-ROM and floppy drives, which do not matter for I/O performance. */
export function disksOf(domain: Element): LibvirtDisk[] {
  return elementsOfDisks(domain)
    .filter((element) => !isRemovable(element))
    .map(disk);
}

/** Files of disks, firmware, its variables, CD-ROMs and floppies. Names on the network are no files. */
export function filesOf(domain: Element): FilesByUse {
  const { loader, nvram } = object(domain['os']);
  const elements = elementsOfDisks(domain);
  const sources = (some: readonly Element[]): unknown[] => some.map((element) => fileOf(element['source']));
  // libvirt 8.5 and newer may write <source> into <nvram>.
  const firmware = [textOf(loader), textOf(nvram), fileOf(object(nvram)['source'])];
  return {
    disks: paths(sources(elements.filter((element) => !isRemovable(element)))),
    others: paths([...firmware, ...sources(elements.filter(isRemovable))]),
  };
}

function elementsOfDisks(domain: Element): Element[] {
  return list(object(domain['devices'])['disk']);
}

function isRemovable(disk: Element): boolean {
  return disk['@device'] === 'cdrom' || disk['@device'] === 'floppy';
}

function fileOf(source: unknown): unknown {
  return object(source)['@file'] ?? object(source)['@dev'];
}

/** The parser returns an element without attributes as its text. */
function textOf(element: unknown): unknown {
  return typeof element === 'string' ? element : object(element)['#text'];
}

function paths(all: readonly unknown[]): string[] {
  return all.filter((path): path is string => typeof path === 'string' && path.startsWith('/'));
}

function disk(element: Element): LibvirtDisk {
  const driver = object(element['driver']);
  const source = object(element['source']);
  return {
    target: word(object(element['target'])['@dev']) ?? '',
    type: word(element['@type']),
    iothread: number(driver['@iothread']),
    iothreads: list(object(driver['iothreads'])['iothread']).flatMap((thread) => {
      const id = number(thread['@id']);
      const queues = list(thread['queue']).flatMap((queue) => number(queue['@id']) ?? []);
      return id === undefined ? [] : [{ id, queues }];
    }),
    queues: number(driver['@queues']),
    cache: word(driver['@cache']),
    io: word(driver['@io']),
    source: word(source['@dev']) ?? word(source['@file']) ?? word(source['@name']),
  };
}

export function object(value: unknown): Element {
  return typeof value === 'object' && value !== null ? (value as Element) : {};
}

export function list(value: unknown): Element[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function word(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}
