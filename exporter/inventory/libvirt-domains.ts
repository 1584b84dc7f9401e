import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type LibvirtDomain, listDomstatus, readDomstatus } from '../../probes/libvirt-domstatus.ts';

interface FileState {
  readonly mtimeMs: number;
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
        const { mtimeMs } = host.stat(path);
        const before = this.#files.get(file);
        const domain = before?.mtimeMs === mtimeMs ? before.domain : readDomstatus(host, file);
        files.set(file, { mtimeMs, domain });
        domains.set(domain.pid, domain);
      } catch (error) {
        if (!isGone(error)) problems.push(sourceError(error, path));
      }
    }
    this.#files = files;
    return { domains, problems };
  }
}

function list(host: Host, problems: SourceError[]): string[] {
  try {
    return listDomstatus(host);
  } catch (error) {
    problems.push(sourceError(error, host.roots.libvirt));
    return [];
  }
}
