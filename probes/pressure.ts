import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/** Stall time since the cgroup or the host exists, in microseconds. */
export interface Pressure {
  /** Time in which at least one task waited for the resource; undefined for irq. */
  readonly some: number | undefined;
  /** Time in which all non-idle tasks waited; undefined for cpu before Linux 5.13. */
  readonly full: number | undefined;
}

export const PRESSURE_RESOURCES = ['cpu', 'io', 'memory', 'irq'] as const;
export type PressureResource = (typeof PRESSURE_RESOURCES)[number];

const LINE = /^(some|full) (?:avg\d{1,4}=\d{1,3}\.\d{1,2} ){3}total=(\d{1,20})$/;

/**
 * Parses a file of pressure stall information, kernel/sched/psi.c psi_show().
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/accounting/psi.html
 * @example parsePressure('some avg10=0.00 avg60=0.12 avg300=0.03 total=12345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n')
 */
export function parsePressure(text: string): Pressure {
  const totals = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, total] = LINE.exec(line) ?? [];
    if (kind === undefined) throw malformed('pressure', line);
    totals.set(kind, Number(total));
  }
  if (totals.size === 0) throw malformed('pressure', text);
  return { some: totals.get('some'), full: totals.get('full') };
}

/**
 * Pressure of a cgroup.
 *
 * @param cgroup folder of the cgroup in the v2 hierarchy
 * @throws SourceError absent if the kernel has no PSI, failed with EOPNOTSUPP if it is turned off
 */
export function readCgroupPressure(host: Host, cgroup: string, resource: PressureResource): Pressure {
  return parsePressure(host.attribute(`${cgroup}/${resource}.pressure`));
}

/** Pressure of the host. @throws SourceError as for a cgroup */
export function readHostPressure(host: Host, resource: PressureResource): Pressure {
  return parsePressure(host.attribute(`${host.roots.procfs}/pressure/${resource}`));
}
