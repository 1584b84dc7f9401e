import { malformed } from './errors.ts';
import type { StatisticType } from './qmp-stats.ts';

export interface VirshOperation {
  readonly operations: number;
  readonly bytes: number;
  readonly timeNs: number;
}

export interface VirshDisk {
  /** Target in the guest: `vda`. */
  readonly name: string;
  readonly path: string;
  readonly read: VirshOperation;
  readonly write: VirshOperation;
  readonly flush: VirshOperation;
}

export interface VirshIothread {
  readonly id: number;
  readonly pollMaxNs: number;
  readonly pollGrow: number;
  readonly pollShrink: number;
}

/** What `virsh domstats` prints of one domain; a busy one (in migration, in shutdown) has no vCPU statistics. */
export interface VirshDomain {
  readonly name: string;
  /** virDomainState: 1 running, 3 paused, 4 shutting down, ... */
  readonly state: number | undefined;
  /** KVM's statistics by vCPU and name. */
  readonly vcpus: ReadonlyMap<number, ReadonlyMap<string, number>>;
  readonly types: ReadonlyMap<string, StatisticType>;
  readonly disks: readonly VirshDisk[];
  readonly iothreads: readonly VirshIothread[];
}

const TYPE_OF_SUFFIX: Readonly<Record<string, StatisticType>> = {
  sum: 'cumulative',
  cur: 'instant',
  max: 'peak',
};
const VCPU = /^vcpu\.(\d{1,5})\.([a-z][a-z0-9_]{0,63})\.(sum|cur|max)$/;
const BLOCK =
  /^block\.(\d{1,5})\.(name|path|rd\.reqs|rd\.bytes|rd\.times|wr\.reqs|wr\.bytes|wr\.times|fl\.reqs|fl\.times)$/;
const IOTHREAD = /^iothread\.(\d{1,5})\.(poll-max-ns|poll-grow|poll-shrink)$/;

/**
 * `LC_ALL=C virsh -r domstats --raw --nowait --state --vcpu --block --iothread`, libvirt tools/virsh-domain-monitor.c
 * and src/qemu/qemu_driver.c qemuDomainGetStatsVcpu(). Times are nanoseconds, whatever the manual says. A path could
 * hold line breaks and so imitate another domain: a name that comes twice is no one's.
 *
 * @returns domains by name
 * @throws SourceError malformed
 * @see https://libvirt.org/manpages/virsh.html#domstats
 * @example parseDomstats("Domain: 'web'\n  state.state=1\n  vcpu.0.exits.sum=4423\n  vcpu.0.blocking.cur=no\n\n")
 */
export function parseDomstats(text: string): Map<string, VirshDomain> {
  const domains = new Map<string, VirshDomain>();
  const twice = new Set<string>();
  let fields: Map<string, string> | undefined;
  let name = '';
  const finish = (): void => {
    if (fields === undefined) return;
    if (domains.has(name)) twice.add(name);
    domains.set(name, domain(name, fields));
  };
  for (const line of text.split('\n')) {
    const header = /^Domain: '(.+)'$/.exec(line);
    const equals = line.indexOf('=');
    if (header !== null) {
      finish();
      name = header[1] ?? '';
      fields = new Map();
    } else if (line.startsWith('  ') && equals > 0 && fields !== undefined) {
      fields.set(line.slice(2, equals), line.slice(equals + 1));
    }
  }
  finish();
  if (domains.size === 0 && text.trim() !== '') throw malformed('virsh domstats', text);
  for (const each of twice) domains.delete(each);
  return domains;
}

function domain(name: string, fields: ReadonlyMap<string, string>): VirshDomain {
  const vcpus = new Map<number, Map<string, number>>();
  const types = new Map<string, StatisticType>();
  const disks = new Map<number, Map<string, string>>();
  const iothreads = new Map<number, Map<string, number>>();
  for (const [key, text] of fields) {
    const vcpu = VCPU.exec(key);
    const value = number(text);
    if (vcpu !== null && value !== undefined) {
      const [, index = '', statistic = '', suffix = ''] = vcpu;
      getOrMake(vcpus, Number(index)).set(statistic, value);
      types.set(statistic, TYPE_OF_SUFFIX[suffix] ?? 'unknown');
      continue;
    }
    const block = BLOCK.exec(key);
    if (block !== null) getOrMake(disks, Number(block[1])).set(block[2] ?? '', text);
    const iothread = IOTHREAD.exec(key);
    if (iothread !== null && value !== undefined)
      getOrMake(iothreads, Number(iothread[1])).set(iothread[2] ?? '', value);
  }
  return {
    name,
    state: number(fields.get('state.state') ?? ''),
    vcpus,
    types,
    disks: [...disks.values()].flatMap((disk) => (disk.has('name') ? [toDisk(disk)] : [])),
    iothreads: [...iothreads].map(([id, values]) => ({
      id,
      pollMaxNs: values.get('poll-max-ns') ?? 0,
      pollGrow: values.get('poll-grow') ?? 0,
      pollShrink: values.get('poll-shrink') ?? 0,
    })),
  };
}

function toDisk(fields: ReadonlyMap<string, string>): VirshDisk {
  const value = (key: string): number => number(fields.get(key) ?? '') ?? 0;
  const operation = (kind: string): VirshOperation => ({
    operations: value(`${kind}.reqs`),
    bytes: value(`${kind}.bytes`),
    timeNs: value(`${kind}.times`),
  });
  return {
    name: fields.get('name') ?? '',
    path: fields.get('path') ?? '',
    read: operation('rd'),
    write: operation('wr'),
    flush: operation('fl'),
  };
}

function number(text: string): number | undefined {
  if (text === 'yes') return 1;
  if (text === 'no') return 0;
  return /^\d{1,20}$/.test(text) ? Number(text) : undefined;
}

function getOrMake<K, V>(maps: Map<number, Map<K, V>>, key: number): Map<K, V> {
  let map = maps.get(key);
  if (map === undefined) {
    map = new Map();
    maps.set(key, map);
  }
  return map;
}
