import type { LibvirtPins } from '../../probes/libvirt-domain.ts';
import type { Vm, VmThread } from './vm.ts';

/** The CPUs on which a thread should be allowed to run, and who says so. */
export interface Expectation {
  /** Ascending. */
  readonly cpus: readonly number[];
  readonly source: 'config' | 'libvirt' | 'baseline';
}

/** `*` is any text, `?` any one character. */
export interface PinningRule {
  /** Glob on the VM's name. */
  readonly vm: string;
  /** Glob on the thread's label: `vcpu0`, `vcpu*`, `iothread:*`, `emulator`. */
  readonly thread: string;
  readonly cpus: readonly number[];
}

/**
 * The configuration's first rule that fits, else libvirt's pin, else what the thread had when the VM was first seen.
 *
 * @param baseline undefined where none was learnt
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

/** The number by which libvirt knows a vCPU or an IOThread, which it names `iothread<id>`; others have none. */
export function libvirtIdOf(role: VmThread['role'], label: string): number | undefined {
  if (role !== 'vcpu' && role !== 'iothread') return undefined;
  const id = /^(?:vcpu|iothread:iothread)(\d{1,9})$/.exec(label)?.[1];
  return id === undefined ? undefined : Number(id);
}

/** Without a regular expression, which a pattern such as `*a*a*a*b` could keep busy for hours. */
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

/** As the kernel writes a mask: `0-2,8`. Expects ascending numbers. */
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
