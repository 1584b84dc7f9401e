import { WORK } from './metrics.ts';
import type { Work } from './model.ts';
import type { Evaluation } from './observations.ts';
import type { PeriodRows } from './rows.ts';

/** The work of the VMs in a period. */
export function workOf(evaluation: Evaluation, period: PeriodRows, otherVmsCpu: number | undefined): Work {
  const { reads, completed, bytes, diskSeconds, ios, vcpus, vcpuSamples } = WORK;
  const ratio = (
    above: Parameters<Evaluation['sums']>[0][number],
    below: typeof above,
  ): number | undefined => {
    const [a = Number.NaN, b = 0] = evaluation.sums([above, below], period) ?? [];
    return b > 0 && Number.isFinite(a) ? a / b : undefined;
  };
  return {
    readShare: ratio(reads, completed),
    bytesPerIo: ratio(bytes, completed),
    // Little's law: the time that all I/Os took, per second.
    inFlight: ratio(diskSeconds, 'time'),
    iosPerSecond: ratio(ios, 'time'),
    vcpus: ratio(vcpus, vcpuSamples),
    otherVmsCpu,
  };
}
