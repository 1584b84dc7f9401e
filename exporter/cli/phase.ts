import { createHost } from '../../probes/host.ts';
import { printable } from '../../probes/printable.ts';
import type { Phases } from '../assessment/stage/phases.ts';
import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import type { Config } from '../config/options.ts';
import { rootsOf } from '../config/roots.ts';
import { Inventory } from '../inventory/inventory.ts';
import type { Vm } from '../model/vm.ts';
import { truncateName } from '../model/vm-names.ts';

const MAX_PHASE = 100;
/** libvirt sets no limit on names, so a name may be longer than its label. */
const MAX_VM = 4096;

/** @returns the exit code: 1 if the phase could not be stored */
export async function setPhase(config: Config, phases: Phases, vm: string, phase: string): Promise<number> {
  check('VM', vm, MAX_VM);
  check('PHASE', phase, MAX_PHASE);
  if (!(await phases.set(vm, phase, new Date()))) {
    process.stderr.write(`kvm-telemetry: the phase was not kept: ${phases.path} cannot be written\n`);
    return 1;
  }
  process.stdout.write(`${printable(vm)} is in phase ${JSON.stringify(phase)} from now on\n`);
  const doubt = await doubtAbout(config, vm);
  if (doubt !== undefined) process.stderr.write(`kvm-telemetry: warning: ${printable(doubt)}\n`);
  return 0;
}

export async function clearPhase(phases: Phases, vm: string): Promise<number> {
  const cleared = await phases.clear(vm);
  if (cleared === undefined) {
    const names = phases.all.map((each) => each.vm);
    const known = names.map((name) => JSON.stringify(name)).join(', ') || 'none';
    throw new ConfigError(
      `phase clear: ${JSON.stringify(vm)} has no phase${didYouMean(vm, names) || `: those that have one: ${known}`}`,
    );
  }
  if (cleared) {
    process.stdout.write(`${printable(vm)} is in no phase from now on\n`);
    return 0;
  }
  process.stderr.write(`kvm-telemetry: the phase was not cleared: ${phases.path} cannot be written\n`);
  return 1;
}

export function listPhases(phases: Phases, asJson: boolean): string {
  if (asJson) return `${JSON.stringify(phases.all, undefined, 2)}\n`;
  return phases.all
    .map(({ vm, phase, since }) => `${since}  ${printable(vm)}  ${printable(phase)}\n`)
    .join('');
}

/** A phase may be declared before its VM starts, but an unknown name is usually a mistake. */
async function doubtAbout(config: Config, name: string): Promise<string | undefined> {
  const inventory = new Inventory(createHost(rootsOf(config)));
  try {
    await inventory.refresh(true);
  } catch (error) {
    return `whether such a VM runs is unknown: ${(error as Error).message}`;
  }
  const { vms } = inventory;
  const wanted = truncateName(name);
  if (vms.some((vm) => wanted === vm.name || wanted === vm.uuid)) return undefined;
  const problem = inventory.problems.get('inventory')?.[0];
  if (problem !== undefined) return `whether such a VM runs is unknown: ${problem.message}`;
  const labelled = vms.find(({ label }) => label === wanted);
  const hint =
    labelled === undefined
      ? didYouMean(name, vms.flatMap(namesOf))
      : `: give ${namesOf(labelled).join(' or ')}`;
  return `no VM ${JSON.stringify(name)} runs now; the phase waits for it${hint}`;
}

function namesOf({ name, uuid }: Vm): string[] {
  return uuid === '' ? [name] : [name, uuid];
}

/** @throws ConfigError */
function check(what: string, value: string, max: number): void {
  // JSON allows this key, but the schema validation drops it.
  const isLost = value === '__proto__';
  if (value.trim() === '' || value.length > max || /\p{C}/u.test(value) || isLost) {
    throw new ConfigError(
      `phase set: ${JSON.stringify(value.slice(0, MAX_PHASE))} is no ${what}: give 1 to ${max} printable characters`,
    );
  }
}
