import type { Lockdown } from '../../probes/lockdown.ts';

/** Explains a failure to the operator. */
export interface Advice {
  readonly why: string;
  /** The command or change that fixes the problem; undefined if there is nothing to fix or no fix exists. */
  readonly fix: string | undefined;
}

/** The facts that distinguish the causes of an EPERM. */
export interface Circumstances {
  readonly isRoot: boolean;
  readonly lockdown: Lockdown;
}
