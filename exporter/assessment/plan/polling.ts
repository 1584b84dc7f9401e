import { NSEC_PER_SEC } from '../../../kernel/units.ts';
import { argumentFor, type ObservedVm } from '../../model/observed.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmStatistics } from '../../model/vm-statistics.ts';
import type { PlanStep } from './steps.ts';

/** QEMU's own default, so it is known to be harmless. */
const POLL_MAX_NS = 32_768;

/** An IOThread of QEMU. */
export interface IoThread {
  readonly id: string;
  /** undefined if unknown. */
  readonly pollMaxSeconds: number | undefined;
}

/** From QEMU's monitor, else from the command line. */
export function ioThreadsOf(
  { iothreadIds, devices }: Pick<Vm, 'iothreadIds' | 'devices'>,
  statistics: Pick<VmStatistics, 'iothreads'> | undefined,
): IoThread[] {
  const measured = statistics?.iothreads ?? [];
  if (measured.length > 0) return measured.map(({ id, pollMaxSeconds }) => ({ id, pollMaxSeconds }));
  return iothreadIds.map((id) => {
    const pollMaxNs = devices?.iothreads.find((each) => each.id === id)?.pollMaxNs;
    return { id, pollMaxSeconds: pollMaxNs === undefined ? undefined : pollMaxNs / NSEC_PER_SEC };
  });
}

/** One step per IOThread that does not poll: a single one turns the feature off. */
export function pollingSteps(vm: ObservedVm, threads: readonly IoThread[]): PlanStep[] {
  return threads
    .filter(({ pollMaxSeconds }) => pollMaxSeconds === undefined || pollMaxSeconds === 0)
    .map(({ id, pollMaxSeconds }) => ({
      what: 'polling',
      command: commandFor(vm, id, POLL_MAX_NS),
      undo:
        pollMaxSeconds === undefined
          ? undefined
          : commandFor(vm, id, Math.round(pollMaxSeconds * NSEC_PER_SEC)),
      vm: vm.vm,
      threads: [`iothread:${id}`],
    }));
}

function commandFor(vm: ObservedVm, id: string, value: number): string {
  const number = /^iothread(\d+)$/.exec(id)?.[1];
  if (vm.domain !== '' && number !== undefined) {
    return `virsh iothreadset ${argumentFor(vm)} ${number} --poll-max-ns ${value} --live`;
  }
  const set = { path: `/objects/${id}`, property: 'poll-max-ns', value };
  return `QMP ${JSON.stringify({ execute: 'qom-set', arguments: set })}`;
}
