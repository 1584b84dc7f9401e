import { ifThere, isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { LibvirtPins } from '../../probes/libvirt-domain.ts';
import { readDomainPins } from '../../probes/libvirt-domain-xml.ts';
import { type LibvirtDomain, listDomstatus, readDomstatus } from '../../probes/libvirt-domstatus.ts';

interface FileState {
  /** Change times of the state file and of the definition. */
  readonly changed: string;
  readonly domain: LibvirtDomain;
  /** Error in the definition. Reported in each pass: the file is not read again before it changes. */
  readonly problem: SourceError | undefined;
}

/** Reads libvirt's state files; each file again only after it changed. */
export class LibvirtDomains {
  #files = new Map<string, FileState>();

  /** Domains by the pid of their QEMU, and the errors. */
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
        const state =
          before?.changed === changed ? before : { changed, ...readDomain(host, file, definition) };
        files.set(file, state);
        domains.set(state.domain.pid, state.domain);
        if (state.problem !== undefined) problems.push(state.problem);
      } catch (error) {
        if (!isGone(error)) problems.push(sourceError(error, path));
      }
    }
    this.#files = files;
    return { domains, problems };
  }
}

/** Pins that are only in the definition count as well, although they apply at the domain's next start. */
function readDomain(host: Host, file: string, definition: string): Omit<FileState, 'changed'> {
  const domain = readDomstatus(host, file);
  const ids = domain.vcpus.map(({ id }) => id);
  let wanted: LibvirtPins | undefined;
  let problem: SourceError | undefined;
  try {
    wanted = ifThere(() => readDomainPins(host, definition, ids, domain.iothreads));
  } catch (error) {
    problem = sourceError(error, definition);
  }
  if (wanted === undefined) return { domain, problem };
  const { pins } = domain;
  const merged = {
    vcpus: new Map([...wanted.vcpus, ...pins.vcpus]),
    iothreads: new Map([...wanted.iothreads, ...pins.iothreads]),
    emulator: pins.emulator ?? wanted.emulator,
  };
  return { domain: { ...domain, pins: merged }, problem };
}

function list(host: Host, problems: SourceError[]): string[] {
  try {
    return listDomstatus(host);
  } catch (error) {
    problems.push(sourceError(error, host.roots.libvirt));
    return [];
  }
}
