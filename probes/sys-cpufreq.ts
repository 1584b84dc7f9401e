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
  const path = `${host.roots.sysfs}/devices/system/cpu/cpu${cpu}/cpufreq/scaling_cur_freq`;
  const khz = host.decimal(path);
  return khz === undefined || khz === 0 ? undefined : khz * HERTZ_PER_KHZ;
}
