import { accessSync, closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SourceError, sourceError } from '../errors.ts';
import type { Libbpf, Pointer } from './libbpf.ts';

/** The kernel's own types, without which CO-RE cannot find a field. */
const BTF = '/sys/kernel/btf/vmlinux';

/**
 * Loads `<name>.bpf.o` of this folder into the kernel. The caller closes the object.
 *
 * @param title names the object in errors
 * @throws SourceError if this kernel or these privileges do not allow it
 */
export function loadObject(libbpf: Libbpf, name: string, title: string): Pointer {
  const file = fileURLToPath(new URL(`./${name}.bpf.o`, import.meta.url));
  const object = libbpf.open(file);
  if (object === null) throw failure(libbpf, file);
  if (libbpf.load(object) >= 0) return object;
  const problem = loadFailure(libbpf, title);
  libbpf.close(object);
  throw problem;
}

/** Makes the kernel time the runs of all programs of the host until `stop`. @throws SourceError */
export function timeRuns(libbpf: Libbpf): { stop(): void } {
  const descriptor = libbpf.timeRuns();
  if (descriptor < 0) throw failure(libbpf, 'BPF statistics');
  return { stop: () => closeSync(descriptor) };
}

/** The error of the last call. @param path names its subject */
export function failure(libbpf: Libbpf, path: string): SourceError {
  return sourceError({ code: libbpf.errno() }, path);
}

function loadFailure(libbpf: Libbpf, title: string): SourceError {
  const problem = failure(libbpf, title);
  if (problem.kind === 'denied') return problem;
  try {
    accessSync(BTF);
    return problem;
  } catch {
    return new SourceError('absent', BTF, 'the kernel does not describe its types', 'until_restart');
  }
}
