import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export type Held = readonly [kind: 'prog' | 'link' | 'map', id: string];

/** The kernel objects that the descriptors of a process hold. */
export function heldBy(pid: number | undefined): Held[] {
  const infos = readdirSync(`/proc/${pid}/fdinfo`).map((fd) =>
    readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'),
  );
  return (['prog', 'link', 'map'] as const).flatMap((kind) =>
    infos.flatMap((info) =>
      Array.from(
        info.matchAll(new RegExp(`^${kind}_id:\\t(\\d+)$`, 'gm')),
        ([, id = '']): Held => [kind, id],
      ),
    ),
  );
}

/** Whether the kernel still has it. */
export function isInKernel([kind, id]: Held): boolean {
  return spawnSync('bpftool', [kind, 'show', 'id', id]).status === 0;
}
