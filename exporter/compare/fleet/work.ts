import type { Configuration, Work } from '../model.ts';

/** The work as far as recorded series show it. */
export function workOf(iosPerSecond: number | undefined, inFlight: number | undefined): Work {
  return {
    readShare: undefined,
    bytesPerIo: undefined,
    inFlight,
    iosPerSecond,
    vcpus: undefined,
    otherVmsCpu: undefined,
  };
}

/** The same for a comparison of the work. Hosts are the samples, so different hosts are no difference of the work. */
export function worked(
  iosPerSecond: number | undefined,
  inFlight: number | undefined,
): Pick<Configuration, 'work' | 'hosts' | 'vms'> {
  return { hosts: [], vms: [], work: workOf(iosPerSecond, inFlight) };
}
