import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

const HERTZ_PER_KHZ = 1000;

/**
 * Frequency of a CPU in hertz, drivers/cpufreq/cpufreq.c: show_scaling_cur_freq(). On x86 it is that of the last tick in which
 * the CPU was busy.
 *
 * @returns undefined if the driver does not report it
 * @throws SourceError absent without cpufreq, as in a VM
 * @see https://docs.kernel.org/admin-guide/pm/cpufreq.html#policy-interface-in-sysfs
 */
export function readCpuFrequency(host: Host, cpu: number): number | undefined {
  return hertz(host, cpu, 'scaling_cur_freq');
}

/** The limits of a CPU's frequency, and the governor. */
export interface CpuFrequencyPolicy {
  readonly governor: string;
  /** In hertz: the most that the policy allows now. */
  readonly limit: number | undefined;
  /** In hertz: the most that the hardware can do. */
  readonly hardwareLimit: number | undefined;
}

const GOVERNOR = /^[a-z_]{1,15}$/;

/** @returns undefined without cpufreq. @throws SourceError */
export function readCpuFrequencyPolicy(host: Host, cpu: number): CpuFrequencyPolicy | undefined {
  return ifThere(() => {
    const path = `${folder(host, cpu)}/scaling_governor`;
    const governor = host.attribute(path).trim();
    if (!GOVERNOR.test(governor)) throw malformed(path, governor);
    const limit = hertz(host, cpu, 'scaling_max_freq');
    return { governor, limit, hardwareLimit: hertz(host, cpu, 'cpuinfo_max_freq') };
  });
}

function folder(host: Host, cpu: number): string {
  return `${host.roots.sysfs}/devices/system/cpu/cpu${cpu}/cpufreq`;
}

function hertz(host: Host, cpu: number, file: string): number | undefined {
  const khz = host.decimal(`${folder(host, cpu)}/${file}`);
  return khz === undefined || khz === 0 ? undefined : khz * HERTZ_PER_KHZ;
}
