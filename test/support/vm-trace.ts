import type { VmTrace } from '../../exporter/model/vm-trace.ts';

/** Of a VM of which nothing was counted. */
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
