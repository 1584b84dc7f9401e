import { attempt, malformed } from './errors.ts';
import { type Host, utf8 } from './host.ts';
import { type Element, type LibvirtPins, object, pinsOf } from './libvirt-domain.ts';
import { parseXml } from './libvirt-xml.ts';
import { readPossibleCpus } from './sys-cpu.ts';

/**
 * Parses the pins of a persistent domain's definition, `/etc/libvirt/qemu/<name>.xml`. They apply at the
 * domain's next start.
 *
 * @param vcpus ids of its vCPUs, @param iothreads of its IOThreads
 * @param cpuCount of the host; undefined if unknown
 * @throws SourceError malformed
 * @see https://libvirt.org/formatdomain.html#cpu-tuning
 * @example parseDomainPins("<domain type='kvm'><cputune><vcpupin vcpu='0' cpuset='1-4,^2'/></cputune></domain>", [0], [])
 */
export function parseDomainPins(
  text: string,
  vcpus: readonly number[],
  iothreads: readonly number[],
  cpuCount?: number,
): LibvirtPins {
  const domain: Element = object(parseXml(text, 'domain', 'libvirt domain'));
  if (Object.keys(domain).length === 0) throw malformed('libvirt domain', text);
  return pinsOf(domain, vcpus, iothreads, cpuCount);
}

export function readDomainPins(
  host: Host,
  path: string,
  vcpus: readonly number[],
  iothreads: readonly number[],
): LibvirtPins {
  return parseDomainPins(
    utf8(host.text(path)),
    vcpus,
    iothreads,
    attempt(() => readPossibleCpus(host)),
  );
}
