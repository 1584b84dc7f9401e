import type { LibvirtPins } from '../../probes/libvirt-domain.ts';
import type { Vm, VmThread } from './vm.ts';

/** The expected affinity of a thread, and its source. */
export interface Expectation {
  /** Ascending. */
  readonly cpus: readonly number[];
  readonly source: 'config' | 'libvirt' | 'baseline';
}

/** `*` matches any text, `?` matches one character. */
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
 * @param baseline undefined if there is none
 */
export function expectationOf(
  thread: Pick<VmThread, 'role' | 'label'>,
  vm: Pick<Vm, 'name'>,
  rules: readonly PinningRule[],
  pins: LibvirtPins | undefined,
  baseline: readonly number[] | undefined,
): Expectation | undefined {
  const rule = rules.find((each) => matchesGlob(each.vm, vm.name) && matchesGlob(each.thread, thread.label));
  if (rule !== undefined) return { cpus: rule.cpus, source: 'config' };
  const pin = pins === undefined ? undefined : pinOf(thread, pins);
  if (pin !== undefined) return { cpus: pin, source: 'libvirt' };
  return baseline === undefined ? undefined : { cpus: baseline, source: 'baseline' };
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

/**
 * libvirt's number of a vCPU or of an IOThread, which libvirt names `iothread<id>`; undefined for other
 * threads.
 */
export function libvirtIdOf(role: VmThread['role'], label: string): number | undefined {
  if (role !== 'vcpu' && role !== 'iothread') return undefined;
  const id = /^(?:vcpu|iothread:iothread)(\d{1,9})$/.exec(label)?.[1];
  return id === undefined ? undefined : Number(id);
}

/** Does not use a regular expression: a pattern such as `*a*a*a*b` could backtrack for hours. */
export function matchesGlob(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let retry = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++retry;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** Formats CPUs as the kernel does: `0-2,8`. Expects ascending numbers. */
export function cpuListOf(cpus: readonly number[]): string {
  let text = '';
  let first = Number.NaN;
  cpus.forEach((cpu, i) => {
    if (cpus[i - 1] !== cpu - 1) {
      first = cpu;
      text += `${text === '' ? '' : ','}${cpu}`;
    }
    if (cpus[i + 1] !== cpu + 1 && first !== cpu) text += `-${cpu}`;
  });
  return text;
}
