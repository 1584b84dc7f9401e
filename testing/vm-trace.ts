import type { VmTrace } from '../exporter/model/vm-trace.ts';

/** The trace of a VM without any counts. */
export const NOTHING_TRACED: VmTrace = {
  events: new Map(),
  exits: undefined,
  kicks: undefined,
  kickTotal: undefined,
  deviceExits: undefined,
  eois: undefined,
  msi: [],
  exitDurations: new Map(),
  blockRequests: undefined,
  blockDurations: undefined,
  lockContentionNs: undefined,
};
