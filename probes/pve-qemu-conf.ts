import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/** More than the part of the VM itself. Snapshots follow it, and a file may have hundreds. */
const CAP = 64 * 1024;
const PID_CAP = 32;
const MAX_TAGS = 32;
const TAGS = /^tags:[ \t]*(.*)$/;
/** pve-common PVE/JSONSchema.pm pve-tag. */
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_\-+.]{0,127}$/;

/**
 * Reads the tags of a VM of Proxmox VE. The sections `[PENDING]` and `[<snapshot>]` have tags of their own, which are not the VM's.
 *
 * @param text the beginning of `/etc/pve/qemu-server/<vmid>.conf`
 * @param isWhole whether the text is the whole file: otherwise its last line is incomplete
 * @returns sorted, each once; undefined if the text ends before they are known
 * @see https://pve.proxmox.com/pve-docs/qm.conf.5.html
 * @example parsePveTags('name: web\ntags: prod;web\n\n[before-upgrade]\ntags: test\n', true) // prod, web
 */
export function parsePveTags(text: string, isWhole: boolean): string[] | undefined {
  const lines = text.split('\n');
  if (!isWhole) lines.pop();
  for (const line of lines) {
    if (line.startsWith('[')) return [];
    const [, list] = TAGS.exec(line.trimEnd()) ?? [];
    if (list === undefined) continue;
    const tags = list.split(/[;,\s]+/).filter((tag) => TAG.test(tag));
    return [...new Set(tags)].sort().slice(0, MAX_TAGS);
  }
  return isWhole ? [] : undefined;
}

/** @param vmid from the VM's command line; `pve` is a file system in user space (pmxcfs), which may hang */
export async function readPveTags(
  host: Host,
  vmid: number,
  timeoutMs: number,
): Promise<string[] | undefined> {
  const { text, isWhole } = await host.userSpaceHead(
    `${host.roots.pve}/qemu-server/${vmid}.conf`,
    CAP,
    timeoutMs,
  );
  return parsePveTags(text, isWhole);
}

/** Process of a VM, which Proxmox VE wrote. A process can claim any number on its command line. */
export function readPvePid(host: Host, vmid: number): number | undefined {
  const text = ifThere(() => host.head(`${host.roots.pveRun}/${vmid}.pid`, PID_CAP)) ?? '';
  const digits = /^(\d{1,10})\n?$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
