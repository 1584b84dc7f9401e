import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/** The first CPU: the others have the same model. */
const HEAD = 2048;

/**
 * Parses `/proc/cpuinfo`: the model of the first CPU as the kernel of x86, LoongArch, POWER or RISC-V names it, and for
 * arm64 implementer and part. Undefined if the kernel gives none.
 *
 * @see arch/x86/kernel/cpu/proc.c, arch/arm64/kernel/cpuinfo.c, arch/powerpc/kernel/setup-common.c
 * @example parseCpuModel('processor\t: 0\nmodel name\t: AMD EPYC 7763\n') // 'AMD EPYC 7763'
 */
export function parseCpuModel(text: string): string | undefined {
  const of = (key: string): string | undefined =>
    new RegExp(`^${key}[ \\t]*: *(\\S[^\\n]*?)[ \\t]*$`, 'm').exec(text)?.[1];
  const name = ['model name', 'Model Name', 'cpu', 'uarch'].map(of).find((each) => each !== undefined);
  if (name !== undefined) return name;
  const [implementer, part] = [of('CPU implementer'), of('CPU part')];
  return implementer === undefined || part === undefined ? undefined : `${implementer}/${part}`;
}

/** Costly on some kernels, which interrupt all CPUs for their frequency: read it once. @throws SourceError */
export function readCpuModel(host: Host): string | undefined {
  const text = ifThere(() => host.head(`${host.roots.procfs}/cpuinfo`, HEAD));
  return text === undefined ? undefined : parseCpuModel(text);
}
