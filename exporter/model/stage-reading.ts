import type { Stage } from '../metrics/stages.ts';
import type { Technique } from '../metrics/techniques.ts';
import type { Feature } from './features.ts';
import type { Verdicts } from './technique.ts';
import type { Vm } from './vm.ts';

/** Use of one device's virtqueues in the last minute. */
export interface DeviceQueues {
  /** The device's name in the VM, or the page of its notify addresses if no source names it. */
  readonly device: string;
  /** Share of a queue's kicks from its top vCPU, over all queues of the device; undefined without kicks. */
  readonly locality: number | undefined;
  /** Jain's fairness index over its queues. */
  readonly fairness: number | undefined;
}

export interface VmStage {
  readonly features: ReadonlyMap<Feature, number>;
  readonly verdicts: Verdicts;
  /** The paper's stage; undefined if the verdicts fit none, or one of them is unknown. */
  readonly detected: Stage | undefined;
  /** The paper's stage, else the techniques in force in words; undefined while a technique is unknown. */
  readonly label: string | undefined;
  /** The stage that the declared phase names; undefined if it names none. */
  readonly declared: Stage | undefined;
  readonly phase: string | undefined;
  /** Techniques that the declared phase includes and that are known not to be in force. */
  readonly contradicted: readonly Technique[];
  /** Changes since the daemon discovered the VM. */
  readonly stageChanges: number;
  readonly phaseChanges: number;
  readonly devices: readonly DeviceQueues[];
}

export interface Stages {
  /** undefined if the VM's stage has not been determined yet. */
  of(vm: Vm): VmStage | undefined;
  /** Name of the device with this notify address; undefined if unknown. */
  deviceAt(vm: Vm, address: number, isPort: boolean): string | undefined;
}
