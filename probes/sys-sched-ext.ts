import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

/** The BPF scheduler of the host. */
export interface SchedExt {
  /** enabled, disabled, and those in between: kernel/sched/ext.c scx_enable_state_str[]. */
  readonly state: string;
  /** Name of the scheduler, which its author chose; empty if none is loaded. */
  readonly scheduler: string;
}

const STATE = /^[a-z]{1,20}$/;

/**
 * Reads `/sys/kernel/sched_ext`.
 *
 * @returns undefined without CONFIG_SCHED_CLASS_EXT (Linux 6.12)
 * @throws SourceError
 * @see https://docs.kernel.org/scheduler/sched-ext.html
 */
export function readSchedExt(host: Host): SchedExt | undefined {
  const base = `${host.roots.sysfs}/kernel/sched_ext`;
  const state = ifThere(() => host.attribute(`${base}/state`))?.trim();
  if (state === undefined) return undefined;
  if (!STATE.test(state)) throw malformed(`${base}/state`, state);
  return { state, scheduler: ifThere(() => host.attribute(`${base}/root/ops`))?.trim() ?? '' };
}
