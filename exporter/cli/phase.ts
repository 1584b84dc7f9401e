import { createHost } from '../../probes/host.ts';
import { printable } from '../../probes/printable.ts';
import { Phases } from '../assessment/stage/phases.ts';
import { ConfigError, type RawValues } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import type { Config } from '../config/options.ts';
import { checkStateDirectory, rootsOf } from '../config/roots.ts';
import { Inventory } from '../inventory/inventory.ts';
import type { Vm } from '../model/vm.ts';
import { truncateName } from '../model/vm-names.ts';
import { readConfig } from './read-config.ts';
import { warningsOnly } from './warnings-only.ts';

const MAX_PHASE = 100;
/** libvirt sets no limit on names, so a name may be longer than its label. */
const MAX_VM = 4096;

/** @returns the exit code: 1 if the phase could not be stored */
export async function runPhaseSet(vm: string, phase: string, flags: RawValues): Promise<number> {
  const config = readConfig(flags);
  const phases = phasesOf(config);
  check('VM', vm, MAX_VM);
  check('PHASE', phase, MAX_PHASE);
  if (!(await phases.set(vm, phase, new Date()))) return cannotWrite(phases);
  process.stdout.write(`phase of ${printable(vm)} set to ${JSON.stringify(phase)}\n`);
  const doubt = await doubtAbout(config, vm);
  if (doubt !== undefined) process.stderr.write(`kvm-telemetry: warning: ${printable(doubt)}\n`);
  return 0;
}

/** @returns the exit code: 1 if the change could not be stored */
export async function runPhaseClear(vm: string, flags: RawValues): Promise<number> {
  const phases = phasesOf(readConfig(flags));
  const cleared = await phases.clear(vm);
  if (cleared === undefined) {
    const names = phases.all.map((each) => each.vm);
    const known = names.map((name) => JSON.stringify(name)).join(', ') || 'none';
    const hint = didYouMean(vm, names) || `: VMs with a phase: ${known}`;
    throw new ConfigError(`phase clear: ${JSON.stringify(vm)} has no phase${hint}`);
  }
  if (!cleared) return cannotWrite(phases);
  process.stdout.write(`phase of ${printable(vm)} cleared\n`);
  return 0;
}

export function runPhaseList(flags: RawValues): void {
  const { all } = phasesOf(readConfig(flags));
  const lines = all.map(({ vm, phase, since }) => `${since}  ${printable(vm)}  ${printable(phase)}\n`);
  process.stdout.write(flags['json'] === true ? `${JSON.stringify(all, undefined, 2)}\n` : lines.join(''));
}

function phasesOf(config: Config): Phases {
  checkStateDirectory(config);
  return new Phases(config['state.dir'], warningsOnly);
}

function cannotWrite({ path }: Phases): number {
  process.stderr.write(`kvm-telemetry: cannot write ${path}: the phase is unchanged\n`);
  return 1;
}

/** A phase may be declared before its VM starts, but an unknown name is usually a mistake. */
async function doubtAbout(config: Config, name: string): Promise<string | undefined> {
  const inventory = new Inventory(createHost(rootsOf(config)));
  try {
    await inventory.refresh(true);
  } catch (error) {
    return `cannot check whether this VM runs: ${(error as Error).message}`;
  }
  const { vms } = inventory;
  const wanted = truncateName(name);
  if (vms.some((vm) => wanted === vm.name || wanted === vm.uuid)) return undefined;
  const problem = inventory.problems.get('inventory')?.[0];
  if (problem !== undefined) return `cannot check whether this VM runs: ${problem.message}`;
  const labelled = vms.find(({ label }) => label === wanted);
  const hint =
    labelled === undefined
      ? didYouMean(name, vms.flatMap(namesOf))
      : `: give ${namesOf(labelled).join(' or ')}`;
  return `no VM ${JSON.stringify(name)} is running; the phase applies when it starts${hint}`;
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
      `phase set: ${JSON.stringify(value.slice(0, MAX_PHASE))} is not a valid ${what}: give 1 to ${max} printable characters`,
    );
  }
}
