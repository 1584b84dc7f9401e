import type { LibvirtPins } from '../../probes/libvirt-domain.ts';
import { matchesGlob } from './glob.ts';
import { libvirtIdOf } from './libvirt-id.ts';
import type { Vm, VmThread } from './vm.ts';

/**
 * `unpinned` if the thread is neither pinned nor expected to be. `unknown` if it is or may be pinned, and no baseline
 * confirms these CPUs. In both cases the CPUs are the present ones.
 */
export type Source = 'config' | 'libvirt' | 'baseline' | 'unpinned' | 'unknown';

/** The expected affinity of a thread, and its source. */
export interface Expectation {
  /** Ascending. */
  readonly cpus: readonly number[];
  readonly source: Source;
}

/** A pin that the configuration declares. */
export interface PinningRule {
  /** Glob on the VM's name. */
  readonly vm: string;
  /** Glob on the thread's label: `vcpu0`, `vcpu*`, `iothread:*`, `emulator`. */
  readonly thread: string;
  readonly cpus: readonly number[];
}

/**
 * Returns the CPUs of the first matching rule of the configuration, else libvirt's pin, else the baseline.
 *
 * @param learned undefined if masks are not learned
 */
export function expectationOf(
  thread: Pick<VmThread, 'role' | 'label'>,
  vm: Pick<Vm, 'name'>,
  rules: readonly PinningRule[],
  pins: LibvirtPins | undefined,
  learned: Expectation | undefined,
): Expectation | undefined {
  const rule = rules.find((each) => matchesGlob(each.vm, vm.name) && matchesGlob(each.thread, thread.label));
  if (rule !== undefined) return { cpus: rule.cpus, source: 'config' };
  const pin = pins === undefined ? undefined : pinOf(thread, pins);
  return pin === undefined ? learned : { cpus: pin, source: 'libvirt' };
}

function pinOf(
  { role, label }: Pick<VmThread, 'role' | 'label'>,
  pins: LibvirtPins,
): readonly number[] | undefined {
  if (role === 'emulator') return pins.emulator;
  const id = libvirtIdOf(role, label);
  if (id === undefined) return undefined;
  return role === 'vcpu' ? pins.vcpus.get(id) : pins.iothreads.get(id);
}
