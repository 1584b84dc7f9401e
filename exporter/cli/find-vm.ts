import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import type { Vm } from '../model/vm.ts';
import { truncateName } from '../model/vm-names.ts';

/** An error lists at most this many VMs. */
const MAX_LISTED = 10;

/**
 * The running VM with this label, name, UUID or pid.
 *
 * @param where names the argument in the error
 * @throws ConfigError with the most similar name
 */
export function findVm(vms: readonly Vm[], name: string, where: string): Vm {
  const wanted = truncateName(name);
  const found = vms.find((vm) => wanted !== '' && namesOf(vm).includes(wanted));
  if (found !== undefined) return found;
  const hint = didYouMean(
    name,
    vms.flatMap(({ label, name: own, uuid }) => [label, own, uuid].filter((each) => each !== '')),
  );
  throw new ConfigError(`${where}: no VM ${JSON.stringify(name)} is running${hint || listOf(vms)}`);
}

function namesOf({ label, name, uuid, pid }: Vm): string[] {
  return [label, name, uuid, String(pid)];
}

function listOf(vms: readonly Vm[]): string {
  if (vms.length === 0) return ': no VM runs on this host';
  const labels = vms.slice(0, MAX_LISTED).map(({ label }) => JSON.stringify(label));
  const more = vms.length > MAX_LISTED ? `, and ${vms.length - MAX_LISTED} more` : '';
  return `: give one of ${labels.join(', ')}${more}`;
}
