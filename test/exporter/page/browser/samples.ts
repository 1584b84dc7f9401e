import type { LiveVm } from '../../../../exporter/page/live.ts';

/** A VM with the given data only. */
export function liveVm(vm: string, known: Partial<LiveVm> = {}): LiveVm {
  return {
    vm,
    pid: '7',
    vmm: 'qemu',
    state: undefined,
    silent: [],
    vcpus: 2,
    exits: undefined,
    path: undefined,
    io: undefined,
    devices: [],
    hidden: [],
    run: {},
    ioRoles: [],
    wait: {},
    throttled: {},
    drift: undefined,
    stage: undefined,
    inForce: undefined,
    stageRank: undefined,
    techniques: [],
    phase: undefined,
    ...known,
  };
}
