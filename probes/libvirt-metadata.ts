import { type Element, object } from './libvirt-domain.ts';

/** A cloud's description of a VM. Empty fields are not known. */
export interface VmMetadata {
  readonly tenant: string;
  readonly project: string;
  readonly flavor: string;
}

const NONE: VmMetadata = { tenant: '', project: '', flavor: '' };
/** A value is a name or an id. */
const MAX_VALUE = 256;

/**
 * Reads `<metadata>` of a domain. Nova writes the project by name and id, and the flavor (nova/virt/libvirt/config.py). KubeVirt
 * has an element of its own there, and names the domain `<namespace>_<name>`. Everything else is left out.
 */
export function metadataOf(domain: Element, name: string): VmMetadata {
  const metadata = object(domain['metadata']);
  const nova = object(metadata['nova:instance']);
  const project = object(nova['nova:owner'])['nova:project'];
  if (metadata['nova:instance'] !== undefined)
    return {
      tenant: text(object(project)['@uuid']),
      project: text(typeof project === 'string' ? project : object(project)['#text']),
      flavor: text(object(nova['nova:flavor'])['@name']),
    };
  if (metadata['kubevirt'] === undefined) return NONE;
  const end = name.indexOf('_');
  return { ...NONE, project: text(name.slice(0, Math.max(0, end))) };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_VALUE) : '';
}
