import type { Feature } from './features.ts';
import type { Stage } from './stage.ts';
import type { Vm } from './vm.ts';

/** How one device's virtqueues were used in the last minute. */
export interface DeviceQueues {
  /** The device's name in the VM, or the page of its notifications where nobody names it. */
  readonly device: string;
  /** Share of a queue's kicks from its top vCPU, over its queues; undefined without kicks. */
  readonly locality: number | undefined;
  /** Jain's index over its queues. */
  readonly fairness: number | undefined;
}

export interface VmStage {
  readonly features: ReadonlyMap<Feature, number>;
  readonly detected: Stage;
  /** From the declared phase, where that names a stage. */
  readonly declared: Stage | undefined;
  readonly phase: string | undefined;
  /** Changes since the daemon met the VM. */
  readonly stageChanges: number;
  readonly phaseChanges: number;
  readonly devices: readonly DeviceQueues[];
}

export interface Stages {
  /** undefined for a VM that was not judged yet. */
  of(vm: Vm): VmStage | undefined;
  /** Name of the device to which a notification address belongs; undefined where nobody says. */
  deviceAt(vm: Vm, address: number, isPort: boolean): string | undefined;
}
