import { type Libbpf, openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { checkPidNamespace } from '../../../probes/bpf/pid-namespace.ts';
import { TraceObject } from '../../../probes/bpf/trace-object.ts';
import type { Host } from '../../../probes/host.ts';
import type { LoadTraceObject } from './traced-object.ts';

/** Loads objects into the running kernel. */
export function traceObjectLoader(host: Host): LoadTraceObject {
  let libbpf: Libbpf | undefined;
  return (name) => {
    checkPidNamespace(host);
    libbpf ??= openLibbpf();
    return TraceObject.load(libbpf, name);
  };
}
