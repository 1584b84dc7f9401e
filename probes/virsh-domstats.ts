import { getOrInsert } from '../kernel/maps.ts';
import { copyOf, domstatsNumber } from './domstats-values.ts';
import { VcpuLines, type VcpuStatistics } from './domstats-vcpus.ts';
import { malformed, SourceError } from './errors.ts';

export interface VirshOperation {
  readonly operations: number;
  readonly bytes: number;
  readonly timeNs: number;
}

/** A disk with statistics. libvirt reports none for a busy domain. */
export interface VirshDisk {
  /** Target in the guest: `vda`. */
  readonly name: string;
  readonly path: string;
  readonly read: VirshOperation;
  readonly write: VirshOperation;
  /** undefined if libvirt does not report them. */
  readonly flush: VirshOperation | undefined;
}

export interface VirshIothread {
  readonly id: number;
  readonly pollMaxNs: number;
  readonly pollGrow: number;
  readonly pollShrink: number;
  /** undefined before libvirt 12.6. */
  readonly pollWeight: number | undefined;
}

/**
 * One domain in the output of `virsh domstats`. KVM's statistics require libvirt 8.9 and QEMU 7.1. For a busy
 * domain (in migration, in shutdown) libvirt reports the state and names, but nothing from QEMU.
 */
export interface VirshDomain extends VcpuStatistics {
  readonly name: string;
  /** virDomainState: 1 running, 3 paused, 4 shutting down, ... */
  readonly state: number | undefined;
  readonly disks: readonly VirshDisk[];
  readonly iothreads: readonly VirshIothread[];
  /** Whether the domain has disks, with or without statistics. */
  readonly hasDisks: boolean;
}

export interface Domstats {
  readonly domains: ReadonlyMap<string, VirshDomain>;
  /** Errors for domains that were dropped because they are too large. */
  readonly problems: readonly SourceError[];
}

/** 1,500 vCPUs with 64 statistics each. */
const MAX_DOMAIN = 4 * 1024 * 1024;
/** A path has at most 4,096 bytes. */
const MAX_LINE = 64 * 1024;
const MAX_PROBLEMS = 16;

const BLOCK =
  /^block\.(\d{1,5})\.(name|path|rd\.reqs|rd\.bytes|rd\.times|wr\.reqs|wr\.bytes|wr\.times|fl\.reqs|fl\.times)$/;
const IOTHREAD = /^iothread\.(\d{1,5})\.(poll-max-ns|poll-grow|poll-shrink|poll-weight)$/;

/**
 * Parses `LC_ALL=C virsh -r domstats --raw --nowait --state --vcpu --block --iothread`, libvirt
 * tools/virsh-domain-monitor.c and src/qemu/qemu_driver.c qemuDomainGetStatsVcpu(). Times are in nanoseconds,
 * whatever the manual says. A path could contain newlines and so imitate another domain: if a name occurs
 * twice, both domains are dropped.
 *
 * @returns domains by name
 * @throws SourceError malformed
 * @see https://libvirt.org/manpages/virsh.html#domstats
 * @example parseDomstats("Domain: 'web'\n  state.state=1\n  vcpu.0.exits.sum=4423\n  vcpu.0.blocking.cur=no\n\n")
 */
export function parseDomstats(text: string): ReadonlyMap<string, VirshDomain> {
  const parser = new DomstatsParser();
  parser.push(text);
  return parser.end().domains;
}

/** Incremental parser for the same format. An entry that is too large invalidates only its own domain. */
export class DomstatsParser {
  readonly #domains = new Map<string, VirshDomain>();
  readonly #twice = new Set<string>();
  readonly #seen = new Set<string>();
  readonly #problems: SourceError[] = [];
  readonly #vcpus = new VcpuLines();
  #current: Builder | undefined;
  /** Incomplete line, continued in the next piece. */
  #rest = '';
  #isLineTooLong = false;
  /** Beginning of output that is not domstats. */
  #other = '';

  push(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      if (this.#rest === '') this.#line(text, start, end);
      else this.#endRest(text.slice(start, end));
      start = end + 1;
    }
    this.#rest += text.slice(start);
    if (this.#rest.length <= MAX_LINE) return;
    this.#isLineTooLong = true;
    this.#rest = '';
  }

  /** @throws SourceError malformed if the output is not domstats */
  end(): Domstats {
    this.#endRest('');
    this.#finish();
    if (this.#seen.size === 0 && this.#other !== '') throw malformed('virsh domstats', this.#other);
    for (const each of this.#twice) this.#domains.delete(each);
    return { domains: this.#domains, problems: this.#problems };
  }

  #endRest(end: string): void {
    const line = this.#rest + end;
    this.#rest = '';
    this.#line(line, 0, line.length);
  }

  /** Reads the line between two positions of a text. */
  #line(text: string, from: number, to: number): void {
    const current = this.#current;
    if (this.#isLineTooLong || to - from > MAX_LINE) {
      this.#isLineTooLong = false;
      if (current !== undefined) current.size = Number.POSITIVE_INFINITY;
      return;
    }
    const header = text.startsWith('Domain: ', from) ? /^Domain: '(.+)'$/.exec(text.slice(from, to)) : null;
    if (header !== null) {
      this.#finish();
      this.#current = newBuilder(copyOf(header[1] ?? ''));
    } else if (current === undefined) {
      if (this.#other === '') this.#other = text.slice(from, to).trim().slice(0, 100);
    } else {
      current.size += to - from;
      if (current.size > MAX_DOMAIN) return;
      if (text.startsWith('  vcpu.', from)) this.#vcpus.line(text, from, to);
      else field(current, text.slice(from, to));
    }
  }

  #finish(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    const { name } = current;
    const statistics = this.#vcpus.take();
    if (this.#seen.has(name)) this.#twice.add(name);
    this.#seen.add(name);
    if (current.size <= MAX_DOMAIN) this.#domains.set(name, { ...built(current), ...statistics });
    else if (this.#problems.length < MAX_PROBLEMS) {
      const reason = `domain ${name.slice(0, 100)} has more than ${MAX_DOMAIN} bytes`;
      this.#problems.push(new SourceError('too_large', 'virsh domstats', reason));
    }
  }
}

interface Builder {
  readonly name: string;
  size: number;
  state: number | undefined;
  readonly disks: Map<number, { name: string; path: string; numbers: Map<string, number> }>;
  readonly iothreads: Map<number, Map<string, number>>;
}

function newBuilder(name: string): Builder {
  return {
    name,
    size: 0,
    state: undefined,
    disks: new Map(),
    iothreads: new Map(),
  };
}

/** Parses a line `  key=value`. */
function field(domain: Builder, line: string): void {
  const equals = line.indexOf('=');
  if (equals < 0) return;
  if (line.startsWith('  block.')) {
    const block = BLOCK.exec(line.slice(2, equals));
    if (block !== null) diskField(domain, Number(block[1]), block[2] ?? '', line.slice(equals + 1));
  } else if (line.startsWith('  iothread.')) {
    const iothread = IOTHREAD.exec(line.slice(2, equals));
    const value = number(line, equals);
    if (iothread !== null && value !== undefined)
      getOrInsert(domain.iothreads, Number(iothread[1]), () => new Map<string, number>()).set(
        copyOf(iothread[2] ?? ''),
        value,
      );
  } else if (line.startsWith('  state.state=')) domain.state = number(line, equals);
}

function diskField({ disks }: Builder, index: number, key: string, text: string): void {
  const disk = getOrInsert(disks, index, () => ({ name: '', path: '', numbers: new Map<string, number>() }));
  const value = domstatsNumber(text, 0, text.length);
  if (key === 'name' || key === 'path') disk[key] = copyOf(text);
  else if (value !== undefined) disk.numbers.set(copyOf(key), value);
}

function built({ name, state, disks, iothreads }: Builder): Omit<VirshDomain, keyof VcpuStatistics> {
  return {
    name,
    state,
    disks: [...disks.values()].flatMap((disk) =>
      disk.name !== '' && disk.numbers.has('rd.reqs') ? [toDisk(disk)] : [],
    ),
    iothreads: [...iothreads].map(([id, values]) => ({
      id,
      pollMaxNs: values.get('poll-max-ns') ?? 0,
      pollGrow: values.get('poll-grow') ?? 0,
      pollShrink: values.get('poll-shrink') ?? 0,
      pollWeight: values.get('poll-weight'),
    })),
    hasDisks: disks.size > 0,
  };
}

function toDisk(disk: { name: string; path: string; numbers: ReadonlyMap<string, number> }): VirshDisk {
  const value = (key: string): number => disk.numbers.get(key) ?? 0;
  const operation = (kind: string): VirshOperation => ({
    operations: value(`${kind}.reqs`),
    bytes: value(`${kind}.bytes`),
    timeNs: value(`${kind}.times`),
  });
  return {
    name: disk.name,
    path: disk.path,
    read: operation('rd'),
    write: operation('wr'),
    flush: disk.numbers.has('fl.reqs') ? operation('fl') : undefined,
  };
}

function number(line: string, equals: number): number | undefined {
  return domstatsNumber(line, equals + 1, line.length);
}
