import { ifThere, isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { LibvirtPins } from '../../probes/libvirt-domain.ts';
import { readDomainPins } from '../../probes/libvirt-domain-xml.ts';
import { type LibvirtDomain, listDomstatus, readDomstatus } from '../../probes/libvirt-domstatus.ts';

interface FileState {
  /** Of the state and of the definition. */
  readonly changed: string;
  readonly domain: LibvirtDomain;
}

/** libvirt's state files, each read again only when it changed. */
export class LibvirtDomains {
  #files = new Map<string, FileState>();

  /** Domains by the pid of their QEMU, and what could not be read. */
  refresh(host: Host): { domains: Map<number, LibvirtDomain>; problems: SourceError[] } {
    const files = new Map<string, FileState>();
    const domains = new Map<number, LibvirtDomain>();
    const problems: SourceError[] = [];
    for (const file of list(host, problems)) {
      const path = `${host.roots.libvirt}/${file}`;
      try {
        const definition = `${host.roots.libvirtConfig}/${file}`;
        const changed = `${host.stat(path).mtimeMs} ${ifThere(() => host.stat(definition).mtimeMs)}`;
        const before = this.#files.get(file);
        const domain =
          before?.changed === changed ? before.domain : readDomain(host, file, definition, problems);
        files.set(file, { changed, domain });
        domains.set(domain.pid, domain);
      } catch (error) {
        if (!isGone(error)) problems.push(sourceError(error, path));
      }
    }
    this.#files = files;
    return { domains, problems };
  }
}

/** A pin that only the definition has is wanted as well, though it comes into force when the domain starts again. */
function readDomain(host: Host, file: string, definition: string, problems: SourceError[]): LibvirtDomain {
  const domain = readDomstatus(host, file);
  const ids = domain.vcpus.map(({ id }) => id);
  let wanted: LibvirtPins | undefined;
  try {
    wanted = ifThere(() => readDomainPins(host, definition, ids, domain.iothreads));
  } catch (error) {
    problems.push(sourceError(error, definition));
  }
  if (wanted === undefined) return domain;
  const { pins } = domain;
  return {
    ...domain,
    pins: {
      vcpus: new Map([...wanted.vcpus, ...pins.vcpus]),
      iothreads: new Map([...wanted.iothreads, ...pins.iothreads]),
      emulator: pins.emulator ?? wanted.emulator,
    },
  };
}

function list(host: Host, problems: SourceError[]): string[] {
  try {
    return listDomstatus(host);
  } catch (error) {
    problems.push(sourceError(error, host.roots.libvirt));
    return [];
  }
}
