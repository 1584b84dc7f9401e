import { attempt, ifThere, malformed } from './errors.ts';
import { type Host, utf8 } from './host.ts';
import {
  disksOf,
  type Element,
  filesOf,
  type LibvirtDisk,
  type LibvirtPins,
  list,
  number,
  object,
  pinsOf,
} from './libvirt-domain.ts';
import { metadataOf, type VmMetadata } from './libvirt-metadata.ts';
import { parseXml } from './libvirt-xml.ts';
import type { FilesByUse } from './qemu-files.ts';
import { readPossibleCpus } from './sys-cpu.ts';

/** State of a running domain in libvirt's QEMU driver. */
export interface LibvirtDomain {
  readonly name: string;
  readonly uuid: string;
  readonly pid: number;
  /** `running`, `paused`, `shutdown`, ... */
  readonly state: string;
  /** Its long job: `migration out`, `migration in`, `save`, `backup`, ...; empty: none. */
  readonly job: string;
  /** Thread of each vCPU. */
  readonly vcpus: readonly { readonly id: number; readonly tid: number }[];
  /** Ids of `<iothreadids>`, or 1 to `<iothreads>`: QEMU's thread `iothread<id>`. */
  readonly iothreads: readonly number[];
  readonly pins: LibvirtPins;
  readonly disks: readonly LibvirtDisk[];
  readonly files: FilesByUse;
  readonly metadata: VmMetadata;
}

/**
 * Parses `/run/libvirt/qemu/<name>.xml`, which root writes; libvirt src/qemu/qemu_domain.c
 * qemuDomainObjPrivateXMLFormat().
 *
 * @param cpuCount of the host; undefined if unknown
 * @throws SourceError malformed
 * @example parseDomstatus("<domstatus state='running' reason='booted' pid='4242'>...<domain>...</domain></domstatus>")
 */
export function parseDomstatus(text: string, cpuCount?: number): LibvirtDomain {
  const status = parseXml(utf8(text), 'domstatus', 'libvirt domain status');
  const domain = object(status['domain']);
  const name = domain['name'];
  const uuid = domain['uuid'];
  const pid = number(status['@pid']);
  if (typeof name !== 'string' || typeof uuid !== 'string' || pid === undefined) {
    throw malformed('libvirt domain status', text);
  }
  const vcpus = list(object(status['vcpus'])['vcpu']).flatMap((vcpu, position) => {
    // libvirt before 2.2 lists all vCPUs in order, without ids.
    const id = vcpu['@id'] === undefined ? position : number(vcpu['@id']);
    const tid = number(vcpu['@pid']);
    return id === undefined || tid === undefined || tid === 0 ? [] : [{ id, tid }];
  });
  const threads = iothreads(domain);
  return {
    name,
    uuid,
    pid,
    state: String(status['@state'] ?? 'unknown'),
    job: jobOf(status),
    vcpus,
    iothreads: threads,
    pins: pinsOf(
      domain,
      vcpus.map(({ id }) => id),
      threads,
      cpuCount,
    ),
    disks: disksOf(domain),
    files: filesOf(domain),
    metadata: metadataOf(domain, name),
  };
}

/** `<job type='none' async='migration out' phase='perform3' ...>` */
function jobOf(status: Element): string {
  const name = object(status['job'])['@async'];
  return typeof name === 'string' && /^[a-z ]{1,32}$/.test(name) && name !== 'none' ? name : '';
}

function iothreads(domain: Record<string, unknown>): number[] {
  const ids = list(object(domain['iothreadids'])['iothread']).flatMap(
    (thread) => number(thread['@id']) ?? [],
  );
  if (ids.length > 0) return ids;
  const count = Math.min(number(domain['iothreads']) ?? 0, 1024);
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** Names of the state files, `<domain>.xml`; empty if libvirt's QEMU driver is not installed. */
export function listDomstatus(host: Host): string[] {
  return ifThere(() => host.entries(host.roots.libvirt).filter((name) => name.endsWith('.xml'))) ?? [];
}

/** @param file a name from {@link listDomstatus} */
export function readDomstatus(host: Host, file: string): LibvirtDomain {
  return parseDomstatus(
    host.text(`${host.roots.libvirt}/${file}`),
    attempt(() => readPossibleCpus(host)),
  );
}
